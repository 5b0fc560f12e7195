"""Bad input over real HTTP, in all three path families: a clear refusal, recorded, and no harm."""

import gzip
import json
import time
from typing import Any

import psutil
import pytest

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.core.ids import uuid7
from apps.predictions.models import PredictionRecord, RequestRecord
from tests.predictions.gateway.conftest import CASE, Served
from tests.predictions.gateway.sockets import Wire, chunk, head_of

pytestmark = pytest.mark.slow


def with_value(name: str, text: str) -> bytes:
    """A good body but for the raw JSON of one value."""
    parts = {key: json.dumps(value) for key, value in CASE.items()} | {name: text}
    fields = ", ".join(f'"{key}": {value}' for key, value in parts.items())
    return f'{{"instances": [{{{fields}}}]}}'.encode()


def rows(count: int) -> bytes:
    return json.dumps({"instances": [CASE] * count}).encode()


BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{not json", "not JSON"),
    "empty": (b"", "The body is empty"),
    "white space": (b" \n ", "The body is empty"),
    "10,000 brackets": (b"[" * 10_000, "nested too deeply"),
    "10,000 closed brackets": (b"[" * 10_000 + b"]" * 10_000, "nested too deeply"),
    "NaN": (with_value("income", "NaN"), "NaN or Infinity"),
    "Infinity": (with_value("income", "-Infinity"), "NaN or Infinity"),
    "1e999": (with_value("income", "1e999"), "too large for double precision"),
    "beyond 64 bits": (with_value("age", str(2**70)), "whole number"),
    "text for a number": (with_value("income", '"much"'), "must be a number, not the text"),
    "true for a number": (with_value("income", "true"), "must be a number, not true or false"),
    "null": (with_value("income", "null"), "no missing value"),
    "unknown category": (with_value("city", '"Oss"'), "known are Ede, Goes, Urk"),
    "NUL in a category": (with_value("city", '"Ede\\u0000"'), "unknown category"),
    "NUL itself": (with_value("city", '"Ede\x00"'), "not JSON"),
    "wrong feature name": (
        json.dumps({"instances": [{"agee": 35, "city": "Ede", "income": 1}]}).encode(),
        "did you mean age?",
    ),
    "missing feature": (b'{"instances": [{"age": 1, "city": "Ede"}]}', "income is missing"),
    "no rows": (rows(0), "no instances"),
    "10,001 rows": (rows(10_001), "10,001 instances"),
    "no list": (b'{"instances": {"a": 1}}', "must be a list"),
    "neither": (b'{"rows": []}', "neither"),
    "a number": (b"5", "must be a JSON object"),
    "doubled key": (
        b'{"instances": [{"age": 35, "age": 36, "city": "Ede", "income": 1}]}',
        'The key "age" is there twice',
    ),
    "doubled instances": (rows(1)[:-1] + b', "instances": []}', 'key "instances" is there twice'),
    "not UTF-8": (with_value("city", '"\xff"').decode().encode("latin-1"), "not UTF-8"),
    "half a surrogate pair": (with_value("city", '"\\ud800"'), "surrogate"),
    "customId too long": (rows(1)[:-1] + b', "customId": "' + b"x" * 201 + b'"}', "customId"),
    "NUL in customId": (rows(1)[:-1] + b', "customId": "a\\u0000"}', "customId"),
    "object as customId": (rows(1)[:-1] + b', "customId": {"a": 1}}', "customId"),
    "too few customIds": (rows(2)[:-1] + b', "customIds": ["a"]}', "1 customIds for 2"),
}


def families(served: Served) -> dict[str, str]:
    name = served.deployment.slug
    return {
        "deeploy": served.path,
        "v1": f"/v1/models/{name}:predict",
        "v2": f"/v2/models/{name}/infer",
    }


def assert_refused(answer: tuple[int, Any, dict[str, str]], status: int, message: str) -> None:
    """The refusal says what is wrong, and its record the same."""
    got, body, headers = answer
    assert got == status, body
    assert message in body["message"]
    assert body["statusCode"] == status
    record = RequestRecord.objects.get(id=body["requestLogId"])
    assert str(record.id) == headers["x-request-log-id"]
    assert (record.status_code, record.count) == (status, 0)
    assert record.error == body["message"].replace("\x00", "\ufffd")


def assert_serves(served: Served) -> None:
    status, body, _ = served.predict({"instances": [CASE]})
    assert status == 200, body


def test_bad_bodies_are_refused_and_recorded_in_every_family(served: Served) -> None:
    for protocol, path in families(served).items():
        for body, message in BAD_BODIES.values():
            answer = served.predict(body, path)
            assert_refused(answer, 400, message)
            assert ("error" in answer[1]) == (protocol != "deeploy")
            assert_serves(served)
    assert not PredictionRecord.objects.exclude(request__status_code=200).exists()


def test_zeros_in_text_of_a_good_request_are_recorded(served: Served) -> None:
    body = json.dumps({"instances": [CASE], "note": "a\x00b"}).encode()
    status, answer, _ = served.predict(body)
    assert status == 200
    record = RequestRecord.objects.get(id=answer["requestLogId"])
    assert json.loads(record.envelope) == {"note": "a\x00b"}


def memory_of(served: Served) -> int:
    assert served.server.process is not None
    parent = psutil.Process(served.server.process.pid)
    return sum(p.memory_info().rss for p in [parent, *parent.children(recursive=True)])


def test_a_body_of_50_mb_is_413_in_one_piece_and_in_chunks(served: Served) -> None:
    piece = b" " * 1024**2
    for path in families(served).values():
        assert_refused(served.predict(piece * 50, path), 413, "larger than 10,485,760 bytes")
    assert_serves(served)
    before = memory_of(served)
    with Wire(served) as wire:
        wire.send(head_of(served, transfer_encoding="chunked"))
        for _ in range(50):
            wire.send(chunk(piece))
        assert memory_of(served) - before < 35 * 1024**2
        wire.send(b"0\r\n\r\n")
        assert_refused(wire.answer(), 413, "larger than 10,485,760 bytes")
    assert_serves(served)


def test_gzip_is_read_with_a_bound_and_other_encodings_are_415(served: Served) -> None:
    good = rows(1)
    for body, encoding, status, message in [
        (gzip.compress(good), "gzip", 200, ""),
        (good, "identity", 200, ""),
        (gzip.compress(b" " * 200 * 1024**2), "gzip", 413, "larger than"),
        (gzip.compress(good)[:-9], "gzip", 400, "cut off"),
        (good, "gzip", 400, "not gzip"),
        (good, "br", 415, "not supported; send gzip"),
    ]:
        with Wire(served) as wire:
            size = str(len(body))
            wire.send(head_of(served, content_encoding=encoding, content_length=size) + body)
            answer = wire.answer()
        if status == 200:
            assert answer[0] == 200, answer
        else:
            assert_refused(answer, status, message)
        assert_serves(served)


def test_a_caller_that_leaves_within_its_body_is_recorded(served: Served) -> None:
    with Wire(served) as wire:
        wire.send(head_of(served, content_length="1000") + b'{"instances"')
        time.sleep(0.2)
    left = RequestRecord.objects.filter(status_code=499)
    served.wait_for(left.exists, seconds=5)
    assert "before the body was whole" in left.get().error
    assert_serves(served)


def test_a_slow_body_has_a_time_limit(served: Served) -> None:
    served.server.stop()
    served.server.environment["PREDICT_BODY_SECONDS"] = "1"
    served.server.start()
    started = time.monotonic()
    with Wire(served) as wire:
        wire.send(head_of(served, content_length="1000"))
        for _ in range(8):
            wire.send(b" ")
            time.sleep(0.1)
        assert_serves(served)
        assert_refused(wire.answer(), 408, "within 1 seconds")
    assert time.monotonic() - started < 3


def test_one_connection_serves_good_and_bad_requests_in_order(served: Served) -> None:
    good, bad = rows(1), b"{not json"
    requests = [
        head_of(served, path, content_length=str(len(body))) + body
        for path in families(served).values()
        for body in (good, bad, good)
    ]
    with Wire(served) as wire:
        for request in requests:
            wire.send(request)
        assert [wire.answer()[0] for _ in requests] == [200, 400, 200] * 3
        for request in requests:
            wire.send(request)
            wire.answer()


def test_other_methods_and_paths_are_told_what_is_there(served: Served) -> None:
    for path in families(served).values():
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            with Wire(served) as wire:
                wire.send(head_of(served, path, method, content_length="0"))
                status, body, headers = wire.answer(has_body=method != "HEAD")
                assert (status, headers["allow"]) == (405, "POST")
                assert method == "HEAD" or "takes POST" in body["message"]
                wire.send(head_of(served, content_length=str(len(rows(1)))) + rows(1))
                assert wire.answer()[0] == 200
    for path in ("/v1/models/x", "/v1/nothing", "/v2/models/x/infer/y", served.path + "/y"):
        status, body, _ = served.predict(b"{}", path)
        assert status in (404, 405)
        assert body["statusCode"] == status


def test_a_foreign_deployment_cannot_be_told_from_none(
    served: Served, other_workspace: Workspace, outsider: User
) -> None:
    _, foreign = accounts.issue_token(
        workspace=other_workspace,
        deployment_id=uuid7(),
        deployment_name="x",
        name="x",
        scopes=["predict"],
        by=outsider,
    )
    served.wait_for(lambda: served.predict(rows(1), token=foreign)[0] == 404, seconds=3)
    for path, none in zip(
        families(served).values(),
        ("/workspaces/no/deployments/no/predict", "/v1/models/no:predict", "/v2/models/no/infer"),
        strict=True,
    ):
        hidden, nothing = (served.predict(rows(1), p, foreign) for p in (path, none))
        for answer in (hidden, nothing):
            answer[2].pop("date", None)
            # The server ends a connection whose body it had not yet read, be it of which kind.
            answer[2].pop("connection", None)
        assert hidden == nothing
        assert hidden[0] == 404
    assert not RequestRecord.objects.filter(status_code=404).exists()


def test_wrong_and_missing_tokens_are_401_in_every_family(served: Served) -> None:
    for path in families(served).values():
        for header in ("", "Bearer DPTwrong", "Bearer", "Basic x", "Digest x", "Bearer \xff"):
            status, body, headers = served.server.request(
                "POST", path, rows(1), {"Authorization": header}
            )
            assert status == 401
            assert "token" in body["message"]
            assert headers["www-authenticate"].startswith("Bearer")
    assert_serves(served)


def test_the_official_clients_parameters(served: Served) -> None:
    """`skipLog` does not skip the log; `stream` gets the whole answer in one piece."""
    for query in ("?skipLog=true&stream=false", "?stream=true", "?skipLog=false&unknown=1"):
        status, body, _ = served.predict({"instances": [CASE]}, served.path + query)
        assert status == 200
        assert RequestRecord.objects.filter(id=body["requestLogId"]).exists()
    status, body, _ = served.predict({"instances": [CASE], "stream": True})
    assert (status, len(body["predictions"])) == (200, 1)

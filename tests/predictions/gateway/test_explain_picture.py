"""Explanations as a picture: the same record, another answer, and where it is refused."""

import base64
import io
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from apps.deployments.explainers import Method
from apps.predictions.gateway.pictures import PictureWish
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from tests.predictions.gateway.conftest import CASE, Served
from tests.predictions.gateway.test_explain import serve as serve

SHAP = Method("shap", "shap.linear")
Serve = Callable[..., Served]


def ask(
    served: Served, body: Any, query: str = "?image=true", path: str = "", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """The body as it came: JSON, or the bytes of a picture."""
    path = path or served.path.replace("/predict", "/explain")
    given = {"Authorization": f"Bearer {served.text}"} | headers
    return served.server.request("POST", path + query, body, given)


def size_of(picture: bytes) -> tuple[int, int]:
    found = Image.open(io.BytesIO(picture))
    assert found.format == "PNG"
    return found.size


def test_the_answer_is_a_png_and_the_record_holds_what_json_would_have_given(serve: Serve) -> None:
    served = serve(SHAP)
    status, picture, headers = ask(served, {"instances": [CASE]})
    assert (status, headers["content-type"]) == (200, "image/png"), picture
    assert size_of(picture)[0] == 1280
    record = PredictionRecord.objects.get(id=headers["x-prediction-log-ids"])
    assert str(record.request_id) == headers["x-request-log-id"]
    assert headers["x-record"] == "committed"
    [told] = record.explanation_values
    assert told["contributions"]
    assert (record.request.status_code, record.request.endpoint) == (200, "explain")
    assert list(verify_seals()) == []


def test_rows_and_methods_are_panels_of_one_picture(serve: Serve) -> None:
    served = serve()
    _, one, _ = ask(served, {"instances": [CASE]}, "?image=true&explainer=shap")
    status, all_of_them, headers = ask(served, {"instances": [CASE, CASE]})
    assert status == 200
    assert size_of(all_of_them)[1] > 2 * size_of(one)[1]
    assert len(headers["x-prediction-log-ids"].split(",")) == 2


def test_every_family_draws(serve: Serve) -> None:
    served = serve(SHAP)
    for path in ("/v1/models/credit-risk:explain", "/v2/models/credit-risk/explain"):
        status, picture, _ = ask(served, {"instances": [CASE]}, path=path)
        assert (status, picture[:4]) == (200, b"\x89PNG")


def test_who_asks_for_json_gets_the_usual_answer_with_the_picture_in_it(serve: Serve) -> None:
    served = serve(SHAP)
    _, body, headers = ask(served, {"instances": [CASE]}, Accept="application/json")
    assert headers["content-type"] == "application/json"
    assert size_of(base64.b64decode(body["image"]))[0] == 1280
    assert body["explanations"][0]["shap_values"]
    assert len(body["predictionLogIds"]) == 1


def test_more_panels_than_anybody_reads_are_refused_before_anything_is_decided(
    serve: Serve,
) -> None:
    served = serve(SHAP)
    status, body, headers = ask(served, {"instances": [CASE] * 13})
    assert (status, headers["content-type"]) == (400, "application/json")
    assert "13 panels; a picture has at most 12" in body["message"]
    assert not PredictionRecord.objects.exists()
    assert RequestRecord.objects.get().status_code == 400


@pytest.mark.parametrize(
    ("query", "words"),
    [("image=maybe", "true or false"), ("image=true&theme=pink", "light or dark")],
)
def test_what_means_nothing_is_refused_in_words(serve: Serve, query: str, words: str) -> None:
    status, body, _ = ask(serve(SHAP), {"instances": [CASE]}, f"?{query}")
    assert (status, words in body["message"]) == (400, True)


def test_errors_stay_json(serve: Serve) -> None:
    status, body, headers = ask(serve(SHAP), {"instances": [CASE | {"age": "old"}]})
    assert (status, headers["content-type"]) == (400, "application/json")
    assert body["errors"][0]["feature"] == "age"


def test_a_process_that_was_ended_is_started_anew(serve: Serve) -> None:
    served = serve(SHAP)
    assert ask(served, {"instances": [CASE]})[0] == 200
    assert served.server.process is not None
    group = str(served.server.process.pid)
    command = ["pgrep", "-g", group, "-f", "apps.explanations.artist"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)
    assert found
    assert ask(served, {"instances": [CASE]})[0] == 200


@pytest.mark.parametrize(
    ("headers", "query", "in_json"),
    [
        ({}, b"image=true", False),
        ({b"accept": b"*/*"}, b"image=1", False),
        ({b"accept": b"application/json"}, b"image=true", True),
        ({b"accept": b"image/png, application/json"}, b"image=true", False),
        ({b"user-agent": b"python-requests/2.32"}, b"image=true", True),
        ({b"user-agent": b"python-requests/2.32"}, b"image=true&stream=true", False),
        ({b"user-agent": b"python-requests/2", b"accept": b"image/*"}, b"image=true", False),
    ],
)
def test_who_gets_json(headers: dict[bytes, bytes], query: bytes, in_json: bool) -> None:
    wish = PictureWish.of("deeploy", query, headers)
    assert wish is not None
    assert wish.in_json is in_json


def test_no_picture_is_drawn_unasked() -> None:
    assert PictureWish.of("v1", b"image=false", {}) is None
    assert PictureWish.of("v1", b"", {}) is None

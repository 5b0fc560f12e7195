"""The Open Inference Protocol on the data plane: what goes in, what comes back, what is kept."""

import gzip
import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from apps.accounts.models import User, Workspace
from apps.deployments import model_client
from apps.deployments.models import Component, Replica
from apps.predictions.models import PredictionRecord, RequestRecord
from tests.predictions.gateway.conftest import CASE, Served, serve
from tests.predictions.gateway.wire_v2 import LENGTH, entry, fp32, infer, texts, v2_path

pytestmark = pytest.mark.slow
# Wide enough for its rows to be recorded as bytes.
SIDE = 104
BINARY = {"binary_data_output": True}


def images_taken_flat(width: int) -> Any:
    return FunctionTransformer(np.reshape, kw_args={"shape": (-1, width)})


def pixels(count: int) -> Any:
    """Handwritten digits of 8 × 8 pixels."""
    return (load_digits().images[:count] / 16).astype("<f4")


@pytest.fixture
def digits(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Iterator[Served]:
    model = make_pipeline(images_taken_flat(64), LogisticRegression(max_iter=1000))
    model.fit(pixels(300), load_digits().target[:300])
    joblib.dump(model, tmp_path / "m.joblib")
    metadata = {
        "problemType": "classificationWithProbabilities",
        "exampleInput": {"instances": pixels(1).tolist()},
    }
    yield from serve(workspace, operator, tmp_path / "m.joblib", model, metadata)


def test_images_give_the_models_own_output_in_every_form(digits: Served) -> None:
    sent = pixels(3)
    expected = digits.model.predict_proba(sent.astype(float))
    tensor = {"name": "input", "shape": [3, 8, 8], "datatype": "FP32", "data": sent.tolist()}
    flat = tensor | {"data": sent.ravel().tolist()}
    for inputs in (tensor, flat):
        _, answer, _ = digits.predict({"inputs": [inputs], "id": "mine"}, v2_path(digits))
        assert answer["id"] == "mine"
        (output,) = answer["outputs"]
        assert (output["name"], output["datatype"], output["shape"]) == ("predict", "FP64", [3, 10])
        assert output["data"] == expected.ravel().tolist()

    reply = infer(digits, [fp32("input", sent)], parameters=BINARY)
    assert reply.headers["content-type"] == "application/octet-stream"
    np.testing.assert_array_equal(reply.arrays["predict"], expected)

    name = digits.deployment.slug
    v1 = digits.predict({"instances": sent.tolist()}, f"/v1/models/{name}:predict")[1]
    ours = infer(digits, [fp32("input", sent)], path=digits.path).head
    assert v1["predictions"] == ours["predictions"] == expected.tolist()


def test_an_image_is_recorded_as_the_model_saw_it(digits: Served) -> None:
    sent = pixels(2) / np.float32(3)
    reply = infer(digits, [fp32("input", sent)], parameters=BINARY, id="a")
    request = RequestRecord.objects.get(id=reply.head["parameters"]["requestLogId"])
    assert json.loads(request.envelope) == {"parameters": BINARY, "id": "a"}
    for image, record in zip(sent, request.predictions.order_by("position"), strict=True):
        np.testing.assert_array_equal(np.array(record.input_value, "<f4"), image)
        again = digits.predict({"instances": [record.input_value]})[1]
        assert again["predictions"][0] == pytest.approx(record.output_value, abs=1e-12)
        assert record.outcome == str(np.argmax(record.output_value))


def test_a_large_tensor_is_recorded_as_bytes_and_can_be_sent_again(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> None:
    images = np.random.default_rng(1).random((6, 3, SIDE, SIDE)).astype("<f4")
    model = make_pipeline(images_taken_flat(images[0].size), LogisticRegression())
    joblib.dump(model.fit(images, [0, 1] * 3), tmp_path / "m.joblib")
    for served in serve(workspace, operator, tmp_path / "m.joblib", model, {}):
        reply = infer(served, [fp32("input", images[:2])], parameters=BINARY)
        record = PredictionRecord.objects.get(id=reply.head["parameters"]["predictionLogIds"][0])
        kept = record.input_value["$tensor"]
        assert (kept["datatype"], kept["shape"]) == ("FP32", [3, SIDE, SIDE])
        assert kept["sha256"] == hashlib.sha256(images[0].tobytes()).hexdigest()
        output = reply.arrays["predict"][0].tolist()
        assert output == record.output_value
        again = served.predict({"instances": [record.input_value]})[1]["predictions"]
        assert again[0] == pytest.approx(output, abs=1e-12)
        address = Replica.objects.get(state=Replica.State.READY).address
        assert model_client.predict(address, [record.input_value]) == again


def columns() -> list[tuple[dict[str, Any], bytes]]:
    """The case twice, each column in bytes of its own datatype."""
    return [
        (entry("age", "UINT8", [2, 1], 2), bytes([35, 35])),
        (entry("city", "BYTES", [2], 16), texts("Goes", "Goes")),
        (entry("income", "FP64", [2], 16), np.array([1234.5] * 2, "<f8").tobytes()),
    ]


def test_columns_in_bytes_are_the_instances_of_v1(served: Served) -> None:
    reply = infer(served, columns(), outputs=[{"name": "predict"}])
    assert reply.head["outputs"][0]["data"] == served.expected(CASE) * 2
    record = PredictionRecord.objects.get(id=reply.head["parameters"]["predictionLogIds"][0])
    assert record.input_value == CASE
    mixed = columns()
    mixed[1] = ({"name": "city", "datatype": "BYTES", "shape": [2], "data": ["Goes"] * 2}, b"")
    wanted = [{"name": "predict", "parameters": {"binary_data": True}}]
    np.testing.assert_array_equal(
        infer(served, mixed, outputs=wanted).arrays["predict"], [served.expected(CASE)] * 2
    )


def test_a_compressed_body_holds_bytes_too(served: Served) -> None:
    text = json.dumps({"inputs": [each for each, _ in columns()]}).encode()
    body = gzip.compress(text + b"".join(raw for _, raw in columns()))
    headers = {"Authorization": f"Bearer {served.text}", "Content-Encoding": "gzip"}
    headers[LENGTH] = str(len(text))
    client = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=30)
    client.request("POST", v2_path(served), body, headers)
    answer = client.getresponse()
    assert (answer.status, len(json.loads(answer.read())["outputs"][0]["data"])) == (200, 4)
    client.close()


def test_the_model_describes_itself_as_its_server_does(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.text}"}
    get = served.server.request
    assert get("GET", "/v2")[1]["extensions"] == ["binary_tensor_data"]
    described = get("GET", f"/v2/models/{served.deployment.slug}", headers=headers)[1]
    address = Replica.objects.get(state=Replica.State.READY).address
    _, theirs = model_client.get(address, f"/v2/models/{model_client.MODEL_NAME}")
    assert described["inputs"] == theirs["inputs"]
    assert [each["datatype"] for each in described["inputs"]] == ["INT64", "BYTES", "FP64"]
    assert described["outputs"] == theirs["outputs"]
    assert described["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 2]}]
    assert Component.objects.get().signature["server"] == "deeploy"


def bad_requests() -> Iterator[tuple[list[tuple[dict[str, Any], bytes]], dict[str, Any], str]]:
    """Inputs, what else is sent, and what the refusal says."""
    age, city, income = columns()
    short = (entry("age", "UINT8", [2, 1], 1), bytes([35]))
    yield [short, city, income], {}, 'Input "age" has 1 bytes; its shape [2, 1] of UINT8 needs 2'
    yield [age, city], {"length": "99999"}, "99999; the whole body has"
    yield [age, city], {"length": "-1"}, "must be a whole number of bytes"
    yield [age, city], {"length": "1e3"}, "must be a whole number of bytes"
    yield [age, (city[0], city[1][:-1])], {}, 'Input "city" says binary_data_size 16; only 15'
    yield [age, (city[0], city[1] + b"x")], {}, "1 bytes are left over after the last input"
    cut = (entry("city", "BYTES", [2], 16), texts("Goes", "Goes")[:8] + b"\xff" * 8)
    yield [cut], {}, 'Input "city": text 1 says 4294967295 bytes; 4 are left'
    yield [(entry("city", "BYTES", [2], 6), texts("\0")[:4] + b"\xff\0")], {}, "is not UTF-8"
    yield [(entry("age", "UINT8", [2], True), b"")], {}, "must be a whole number of bytes"
    yield [(entry("age", "BF16", [2], 4), b"\0" * 4)], {}, "send FP32 instead"
    nan = np.array([np.inf, 1], "<f8").tobytes()
    yield [age, city, (income[0], nan)], {}, 'Input "income" holds NaN or infinity'
    empty = np.array([np.nan, 1], "<f8").tobytes()
    yield [age, city, (income[0], empty)], {}, "takes no missing value"
    both = (age[0] | {"data": [1, 2]}, age[1])
    yield [both, city, income], {}, 'Input "age" has both data and binary_data_size'
    yield [age, age], {}, 'The input "age" is there twice'
    unknown = {"outputs": [{"name": "logits"}]}
    yield columns(), unknown, 'The model has no output "logits"; it has predict'
    yield columns(), {"id": 5}, '"id" must be text'
    yield columns(), {"parameters": {"binary_data_output": 1}}, "must be true or false"


def test_what_contradicts_itself_is_refused_by_name_and_recorded(served: Served) -> None:
    for inputs, rest, message in bad_requests():
        reply = infer(served, inputs, **rest)
        assert reply.status == 400, message
        assert message in reply.head["error"]
        record = RequestRecord.objects.get(id=reply.head["requestLogId"])
        assert (record.status_code, record.error) == (400, reply.head["message"])
    assert infer(served, columns()).status == 200
    assert PredictionRecord.objects.count() == 2

"""What replicas are sent: tables as V1, tensors as bytes where the server takes them, else JSON."""

from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest

from apps.deployments.routes import Route
from apps.deployments.wire import compile_schema, split_body
from apps.predictions.gateway.client import Reply
from apps.predictions.gateway.errors import GatewayError
from apps.predictions.gateway.forward import incoming, outgoing

IMAGES = list(np.arange(8.0).reshape(2, 2, 2))
INPUT = {"name": "image", "datatype": "FP32", "shape": [-1, 2, 2]}
IMAGE: dict[str, Any] = {"protocol": "v2", "name": "resnet 50", "inputs": [INPUT], "outputs": []}


def route(signature: dict[str, Any]) -> Route:
    return Route(
        UUID(int=1), "d", "D", UUID(int=2), "w", "running", "committed", UUID(int=3), 1, (), {},
        compile_schema({}), signature,
    )  # fmt: skip


def test_a_table_goes_to_our_server_as_v1() -> None:
    sent = outgoing(route({}), [{"a": 1.5}])
    assert sent == ("/v1/models/model:predict", b'{"instances":[{"a":1.5}]}', None)


@pytest.mark.parametrize(
    ("signature", "path", "datatype"),
    [
        (IMAGE | {"server": "deeploy"}, "/v2/models/model/infer", "FP64"),
        (IMAGE | {"binary": True}, "/v2/models/resnet%2050/infer", "FP32"),
    ],
)
def test_tensors_go_as_bytes(signature: dict[str, Any], path: str, datatype: str) -> None:
    sent = outgoing(route(signature), IMAGES)
    assert sent.path == path
    text, raw = split_body(sent.body, str(sent.header_length).encode())
    (tensor,) = orjson.loads(text)["inputs"]
    assert (tensor["name"], tensor["shape"]) == ("image", [2, 2, 2])
    assert tensor["datatype"] == datatype
    found = np.frombuffer(raw, "<f4" if datatype == "FP32" else "<f8")
    assert found.tolist() == list(range(8))


def test_a_server_without_the_extension_gets_json() -> None:
    sent = outgoing(route(IMAGE), IMAGES)
    assert sent.header_length is None
    (tensor,) = orjson.loads(sent.body)["inputs"]
    assert (tensor["datatype"], tensor["shape"]) == ("FP32", [2, 2, 2])
    assert tensor["data"] == list(range(8))


def test_images_of_different_sizes_are_no_tensor() -> None:
    with pytest.raises(GatewayError, match="do not form a tensor"):
        outgoing(route({}), [np.zeros((2, 2)), np.zeros((3, 3))])


def test_values_that_the_image_cannot_take_are_refused() -> None:
    signature = IMAGE | {"binary": True, "inputs": [INPUT | {"datatype": "UINT8"}]}
    with pytest.raises(GatewayError, match='Input "image" is FP64; the model takes UINT8'):
        outgoing(route(signature), [np.full((2, 2), 300.0)])


def reply(outputs: list[dict[str, Any]], raw: bytes) -> Reply:
    text = orjson.dumps({"outputs": outputs})
    return Reply(200, text + raw, str(len(text)).encode())


def described(name: str, shape: list[int], size: int) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "datatype": "FP32", "shape": shape, "parameters": parameters}


def test_answers_in_bytes_are_a_prediction_a_row() -> None:
    raw = np.arange(4, dtype="<f4").tobytes()
    assert incoming(route({}), reply([described("y", [2, 2], 16)], raw), 2) == [[0, 1], [2, 3]]
    several = [described("y", [2], 8), described("z", [2, 1], 8)]
    assert incoming(route({}), reply(several, raw), 2) == [{"y": 0, "z": [2]}, {"y": 1, "z": [3]}]
    (large,) = incoming(route({}), reply([described("y", [1, 8192], 32768)], b"\0" * 32768), 1)
    assert (large.dtype, large.shape) == (np.float32, (8192,))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (reply([described("y", [2], 9)], b"\0" * 8), "cannot be read: Output"),
        (reply([described("y", [3], 12)], b"\0" * 12), "gave 3 outputs for 2 instances"),
        (reply([described("y", [2], 8)], b"\0\0\xc0\x7f" * 2), 'Output "y" holds NaN'),
        (Reply(200, b"x", None), "not JSON"),
        (Reply(500, b'{"error": "out of memory"}', None), "out of memory"),
    ],
)
def test_an_answer_that_is_none_is_a_502(answer: Reply, message: str) -> None:
    with pytest.raises(GatewayError, match=message) as refused:
        incoming(route({}), answer, 2)
    assert refused.value.status == 502

"""A caller that speaks V2's binary extension by hand, so that it can also speak it wrongly."""

import http.client
import json
from typing import Any, NamedTuple

import numpy as np

from tests.predictions.gateway.conftest import Served

LENGTH = "Inference-Header-Content-Length"
DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "UINT8": "u1", "BOOL": "?"}


class Reply(NamedTuple):
    """An answer: its JSON, and what its bytes hold by output name."""

    status: int
    head: Any
    arrays: dict[str, Any]
    headers: dict[str, str]


def texts(*values: str) -> bytes:
    """BYTES as the extension wants them."""
    encoded = [value.encode() for value in values]
    return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)


def entry(name: str, datatype: str, shape: list[int], size: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": parameters}


def fp32(name: str, array: Any) -> tuple[dict[str, Any], bytes]:
    raw = np.ascontiguousarray(array, "<f4").tobytes()
    return entry(name, "FP32", list(array.shape), len(raw)), raw


def infer(
    served: Served,
    inputs: list[tuple[dict[str, Any], bytes]],
    *,
    length: str | None = None,
    path: str | None = None,
    **rest: Any,
) -> Reply:
    """Sends the tensors as bytes; `length` is sent instead of the true length of the JSON."""
    text = json.dumps({"inputs": [each for each, _ in inputs]} | rest).encode()
    body = text + b"".join(raw for _, raw in inputs)
    headers = {"Authorization": f"Bearer {served.text}", LENGTH: length or str(len(text))}
    client = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=30)
    client.request("POST", path or v2_path(served), body, headers)
    answer = client.getresponse()
    content = answer.read()
    client.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    cut = int(found.get(LENGTH.lower(), len(content)))
    head = json.loads(content[:cut])
    return Reply(answer.status, head, _arrays(head, content[cut:]), found)


def _arrays(head: Any, raw: bytes) -> dict[str, Any]:
    arrays = {}
    for output in head.get("outputs", []):
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            continue
        assert "data" not in output
        part, raw = raw[:size], raw[size:]
        arrays[output["name"]] = np.frombuffer(part, DTYPES[output["datatype"]]).reshape(
            output["shape"]
        )
    assert raw == b""
    return arrays


def v2_path(served: Served) -> str:
    return f"/v2/models/{served.deployment.slug}/infer"

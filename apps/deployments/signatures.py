"""What a model server says of its inputs and outputs, and what a custom image's server speaks.

A signature is `{"protocol": "v1" | "v2", "name", "inputs": [{"name", "datatype", "shape"}],
"outputs"}`, as `Component.signature` keeps it, with `"server": "deeploy"` where the server is
our own, and `binary` where an image's takes tensors as bytes. A custom image's is found by
asking: V2, else V1, else nothing of ours. V2 is the Open Inference Protocol; its servers have no
address that lists their models, so the name is taken from `GET /v1/models` where that exists,
from the repository index, or from the version's metadata.
"""

from typing import Any
from urllib.parse import quote

from apps.deployments import model_client
from apps.deployments.forwarding import request_of, rows_of

OURS = "deeploy"
_FALLBACK_NAME = model_client.MODEL_NAME


class Speechless(Exception):
    """The server speaks neither protocol; the message says what was tried."""


def is_ready(address: str, readiness_path: str) -> bool:
    """True where the server says so: at its own path, at V2's, or by listing a ready V1 model."""
    paths = [readiness_path] if readiness_path else ["/v2/health/ready", "/v1/models", "/"]
    try:
        for path in paths:
            status, _ = model_client.get(address, path)
            if status != 404:
                return status == 200
    except model_client.Unreachable:
        return False
    return not readiness_path


def detect(address: str, name: str = "") -> dict[str, Any]:
    """The signature of the server at `address`. Raises Speechless, or Unreachable."""
    status, _ = model_client.get(address, "/v2/health/ready")
    listed = _listed(address)
    if status == 200:
        return _v2(address, name or listed or _indexed(address) or _FALLBACK_NAME)
    if name or listed:
        return _v1(address, name or listed)
    raise Speechless(
        "The container answers neither GET /v2/health/ready (Open Inference Protocol, V2) nor "
        "GET /v1/models (V1). Serve one of them on the port that the version names."
    )


def of_ours(address: str) -> dict[str, Any]:
    """The signature of a model server of ours that is ready. Raises Unreachable."""
    status, body = model_client.get(address, f"/v2/models/{model_client.MODEL_NAME}", timeout=5)
    if status != 200 or not isinstance(body, dict):
        raise model_client.Unreachable(f"The model server did not describe its model ({status}).")
    described = {"inputs": body["inputs"], "outputs": body["outputs"]}
    return {"protocol": "v2", "server": OURS, "name": model_client.MODEL_NAME} | described


def predict(address: str, signature: dict[str, Any], instances: list[Any]) -> list[Any]:
    """Outputs for `instances`, by the protocol of the signature. Raises ValueError, Unreachable."""
    path, body = request_of(signature, instances)
    status, answer = model_client.post(address, path, body)
    if status != 200:
        raise ValueError(str(answer.get("error", f"status {status}")))
    return rows_of(signature, answer)


def _v2(address: str, name: str) -> dict[str, Any]:
    status, body = model_client.get(address, f"/v2/models/{quote(name)}")
    if status != 200 or not isinstance(body, dict):
        raise Speechless(
            f"The container speaks V2 but has no model called {name} (GET /v2/models/{name} "
            f"answered {status}). Put the name of its model into the version's metadata as "
            "servedModelName."
        )
    inputs, outputs = body.get("inputs") or [], body.get("outputs") or []
    described = {"inputs": inputs, "outputs": outputs, "binary": _takes_bytes(address)}
    return {"protocol": "v2", "name": name} | described


def _takes_bytes(address: str) -> bool:
    """True where the server names the binary data extension among its own."""
    _, body = model_client.get(address, "/v2")
    extensions = body.get("extensions") if isinstance(body, dict) else None
    return isinstance(extensions, list) and "binary_tensor_data" in extensions


def _v1(address: str, name: str) -> dict[str, Any]:
    status, _ = model_client.get(address, f"/v1/models/{quote(name)}")
    if status != 200:
        raise Speechless(f"The container speaks V1, but its model {name} answers {status}.")
    return {"protocol": "v1", "name": name, "inputs": [], "outputs": []}


def _listed(address: str) -> str:
    """The first model of `GET /v1/models`: `{"models": ["name"]}`, or objects with a name."""
    status, body = model_client.get(address, "/v1/models")
    models = body.get("models") if status == 200 and isinstance(body, dict) else None
    if not isinstance(models, list) or not models:
        return ""
    first = models[0]
    return str(first.get("name", "") if isinstance(first, dict) else first)


def _indexed(address: str) -> str:
    """The first model of V2's repository index, an extension that many servers have."""
    try:
        status, body = model_client.post(address, "/v2/repository/index", {}, timeout=2)
    except model_client.Unreachable:
        return ""
    if status != 200 or not isinstance(body, list) or not body:
        return ""
    return str(body[0].get("name", ""))

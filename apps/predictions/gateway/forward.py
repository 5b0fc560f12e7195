"""What the gateway sends to a replica and reads from it: our own protocol, or an image's."""

from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from apps.deployments.forwarding import request_of, rows_of
from apps.deployments.model_client import MODEL_NAME
from apps.deployments.routes import Route
from apps.deployments.wire import is_array, listed
from apps.predictions.gateway import binary
from apps.predictions.gateway.client import Reply
from apps.predictions.gateway.errors import GatewayError

_OWN_PATH = f"/v1/models/{MODEL_NAME}:predict"
_OWN_TENSOR_PATH = f"/v2/models/{MODEL_NAME}/infer"


class Outgoing(NamedTuple):
    """A request to a replica; `header_length` is that of its JSON where raw bytes follow it."""

    path: str
    body: bytes
    header_length: int | None = None


def outgoing(route: Route, instances: list[Any]) -> Outgoing:
    """What the route's replicas are sent. Raises GatewayError 400 where instances do not fit."""
    if route.speaks_ours:
        try:
            return Outgoing(_OWN_PATH, orjson.dumps({"instances": instances}))
        except TypeError:  # arrays among them, which go as bytes
            inputs = route.signature.get("inputs", [])
            return Outgoing(_OWN_TENSOR_PATH, *binary.infer_body(instances, inputs))
    if route.signature.get("binary") and _holds_array(instances[0]):
        path = f"/v2/models/{quote(str(route.signature['name']))}/infer"
        inputs = route.signature.get("inputs", [])
        return Outgoing(path, *binary.infer_body_as_described(instances, inputs))
    try:
        path, body = request_of(route.signature, [listed(each) for each in instances])
    except ValueError as error:
        raise GatewayError(400, str(error)) from None
    return Outgoing(path, orjson.dumps(body))


def _holds_array(instance: Any) -> bool:
    values = instance.values() if isinstance(instance, dict) else [instance]
    return any(map(is_array, values))


def incoming(route: Route, reply: Reply, count: int) -> list[Any]:
    """The predictions in an answer. Raises GatewayError: 400 and 503 as the replica says, 502
    where it failed or its answer holds none."""
    if reply.header_length is not None and reply.status == 200:
        return _counted(_read(binary.predictions_in, reply.body, reply.header_length), count)
    content = _parsed(reply.body)
    if reply.status != 200:
        raise _refusal(content, reply.status)
    if not route.speaks_ours:
        return _counted(_read(rows_of, route.signature, content), count)
    if "outputs" in content:
        return _counted(_read(binary.predictions_in, reply.body, None), count)
    predictions: list[Any] = content["predictions"]
    return predictions


def _read(reader: Any, *arguments: Any) -> list[Any]:
    try:
        rows: list[Any] = reader(*arguments)
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayError(502, f"The model's answer cannot be read: {error}") from None
    return rows


def _counted(rows: list[Any], count: int) -> list[Any]:
    if len(rows) != count:
        raise GatewayError(502, f"The model gave {len(rows)} outputs for {count} instances.")
    return rows


def _parsed(answer: bytes) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise GatewayError(502, "The model's answer is not JSON.") from None


def _refusal(content: Any, status: int) -> GatewayError:
    """What a replica says of its refusal."""
    if status == 503:
        return GatewayError(503, "The model is loading.", retry_after_seconds=1)
    said = content.get("error") if isinstance(content, dict) else None
    text = str(said or f"The model answered with status {status}.")
    return GatewayError(status if status == 400 else 502, text)

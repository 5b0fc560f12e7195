"""Predictions of endpoints elsewhere, as the gateway asks for them."""

from typing import Any

import orjson

from apps.deployments.endpoint_client import CallFailed, EndpointClient
from apps.deployments.endpoints import Endpoint
from apps.deployments.wire import Wanted
from apps.predictions.gateway.bodies import Parsed
from apps.predictions.gateway.errors import GatewayError, unavailable


async def predict(client: EndpointClient, endpoint: Endpoint, instances: list[Any]) -> list[Any]:
    """One output an instance. Raises GatewayError."""
    try:
        return await client.predict(endpoint, instances)
    except CallFailed as error:
        if error.status == 503:
            raise unavailable(error.message) from None
        raise GatewayError(error.status, error.message) from None


def as_is(body: bytes, metadata: dict[str, Any]) -> Parsed:
    """The whole document as one instance. Raises GatewayError 400 where it is no JSON."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise GatewayError(400, f"The body is not JSON: {error}.") from None
    name = metadata.get("customId")
    given = document.get(name) if name and isinstance(document, dict) else None
    custom_id = str(given)[:200].replace("\x00", "\ufffd") if given is not None else None
    return Parsed([document], [custom_id], None, is_v2=False, wanted=Wanted(), id=None)

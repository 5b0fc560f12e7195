"""What the controller does for endpoints elsewhere: a check before traffic, a look ever after.

Calls run in threads of their own, one at a time for each revision: an endpoint that hangs holds
nobody up.
"""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from apps.deployments.endpoint_client import CallFailed, EndpointClient
from apps.deployments.endpoints import Endpoint, endpoint_of
from apps.deployments.models import Component, Revision
from apps.serving.errors import BadRequest
from apps.serving.protocol import instances_of

LOOK_EVERY = timedelta(seconds=30)
_LOOK_SECONDS = 10
Health = dict[str, Any]


class Outlook:
    """The calls under way, by component."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="endpoint")
        self._calls: dict[UUID, Future[Health]] = {}

    def check(self, revision: Revision) -> Health | None:
        """The outcome of the example, sent as a caller would; None while the call is under way."""
        component = _model(revision)
        return self._outcome(component, checked, component.model_version.metadata)  # type: ignore[union-attr]

    def look(self, revision: Revision, now: datetime) -> tuple[Component, Health] | None:
        """What a look found that was due; None where none is, or it is under way."""
        component = _model(revision)
        if component.id not in self._calls:
            last = component.health.get("at")
            if last and now - datetime.fromisoformat(last) < LOOK_EVERY:
                return None
        found = self._outcome(component, looked)
        return None if found is None else (component, found | {"at": now.isoformat()})

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _outcome(self, component: Component, call: Any, *given: Any) -> Health | None:
        running = self._calls.get(component.id)
        if running is None:
            assert component.model_version is not None
            endpoint = endpoint_of(component.model_version)
            self._calls[component.id] = self._pool.submit(call, endpoint, *given)
            return None
        if not running.done():
            return None
        return self._calls.pop(component.id).result()


def looked(endpoint: Endpoint) -> Health:
    """Whether the endpoint can be reached and takes the credentials."""
    return _timed(lambda client: client.reach(endpoint, _LOOK_SECONDS))


def checked(endpoint: Endpoint, metadata: dict[str, Any]) -> Health:
    """Whether it answers the example input; without one, whether it can be reached."""
    example = metadata.get("exampleInput")
    if example is None:
        return looked(endpoint)

    async def predict(client: EndpointClient) -> int:
        try:
            instances = [example] if endpoint.is_as_is else instances_of(example)
        except BadRequest as error:
            raise CallFailed(400, error.message) from None
        await client.predict(endpoint, instances)
        return 200

    return _timed(predict)


def _timed(call: Any) -> Health:
    async def run() -> int:
        client = EndpointClient()
        try:
            status: int = await call(client)
            return status
        finally:
            await client.close()

    started = time.monotonic()
    try:
        status, error = asyncio.run(run()), ""
    except CallFailed as failed:
        status, error = None, failed.message
    took = round((time.monotonic() - started) * 1000)
    return {"ok": not error, "status": status, "ms": took, "error": error}


def _model(revision: Revision) -> Component:
    return revision.components.select_related("model_version__credential").get(
        kind=Component.Kind.MODEL
    )

"""Mounts the data plane before Django, in one ASGI application and one event loop."""

import asyncio
import logging
from typing import Any

import orjson
from django.conf import settings

from apps.deployments.wire import EXTENSIONS
from apps.predictions.gateway.application import Gateway, Scope, Send, respond
from apps.predictions.gateway.call import Limits
from apps.predictions.gateway.description import metadata_of
from apps.predictions.gateway.paths import inference_address, model_address
from apps.predictions.gateway.reading import Receive
from apps.predictions.gateway.table import allowed

log = logging.getLogger(__name__)
_STATIC_ANSWERS: dict[str, dict[str, Any]] = {
    "/v2": {"name": "deeploy", "version": "1", "extensions": EXTENSIONS},
    "/v2/health/live": {"live": True},
}
_FIRST_READ_SECONDS = 5


class DataPlane:
    """Answers the data plane's paths itself and hands every other one to `pages`."""

    def __init__(self, pages: Any) -> None:
        self.pages = pages
        self.gateway: Gateway | None = None
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith(("/workspaces/", "/v1/", "/v2")) and await self._answered(
                path, scope, receive, send
            ):
                return
        await self.pages(scope, receive, send)

    async def _answered(self, path: str, scope: Scope, receive: Receive, send: Send) -> bool:
        address = inference_address(path)
        if address is not None:
            if scope["method"] != "POST":
                await _refuse(send, 405, f"{path} takes POST.", [(b"allow", b"POST")])
                return True
            gateway = await self._running()
            await gateway(scope, receive, send, address)
            return True
        if path.startswith(("/v1/", "/v2")):
            await self._describe(path, scope, send)
            return True
        return False

    async def _describe(self, path: str, scope: Scope, send: Send) -> None:
        """The GETs of KServe's protocols."""
        gateway = await self._running()
        if scope["method"] != "GET":
            await _refuse(send, 404, f"There is no {path} that takes {scope['method']}.")
        elif path in _STATIC_ANSWERS:
            await respond(send, 200, orjson.dumps(_STATIC_ANSWERS[path]), [])
        elif path == "/v2/health/ready":
            ready = gateway.is_ready
            await respond(send, 200 if ready else 503, orjson.dumps({"ready": ready}), [])
        elif found := model_address(path):
            await self._describe_model(gateway, found, scope, send)
        else:
            await _refuse(send, 404, f"There is no {path} here.")

    async def _describe_model(
        self, gateway: Gateway, found: tuple[str, str, bool], scope: Scope, send: Send
    ) -> None:
        protocol, name, readiness = found
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        caller = gateway.table.caller(authorization)
        if caller is None:
            challenge = [(b"www-authenticate", b'Bearer realm="deeploy"')]
            await _refuse(send, 401, "Send a token that is alive.", challenge)
            return
        routes = [r for r in gateway.table.by_name.get(name, []) if allowed(caller, r)]
        if len(routes) != 1:
            await _refuse(send, 404, "There is no such deployment.")
            return
        ready = bool(routes[0].targets) and routes[0].desired == "running"
        if readiness or protocol == "v1":
            body = {"name": name, "ready": ready}
            await respond(send, 200 if ready else 503, orjson.dumps(body), [])
        else:
            await respond(send, 200, orjson.dumps(metadata_of(routes[0])), [])

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._running()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self.gateway is not None:
                    await self.gateway.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _running(self) -> Gateway:
        """The gateway, started on first need where the server sends no lifespan events."""
        if self.gateway is not None:
            return self.gateway
        async with self._starting:
            if self.gateway is None:
                limits = Limits(
                    max_body_bytes=settings.PREDICT_MAX_BODY_BYTES,
                    max_rows=settings.PREDICT_MAX_ROWS,
                    timeout_seconds=settings.PREDICT_TIMEOUT_SECONDS,
                    body_seconds=settings.PREDICT_BODY_SECONDS,
                    max_in_flight=settings.PREDICT_MAX_IN_FLIGHT,
                    max_waiting=settings.PREDICT_MAX_WAITING,
                    max_wait_seconds=settings.PREDICT_WAIT_SECONDS,
                    largest_json_bytes=settings.RECORD_TENSOR_BYTES,
                    spool_folder=settings.VAR_DIR / "spool",
                    spool_max_bytes=settings.SPOOL_MAX_BYTES,
                    explain_seconds=settings.EXPLAIN_SECONDS,
                    explain_max_rows=settings.EXPLAIN_MAX_ROWS,
                    artist=settings.EXPLANATION_ARTIST,
                    artist_folder=settings.BASE_DIR,
                )
                gateway = Gateway(settings.DATABASE_URL, limits)
                await gateway.start()
                try:
                    await asyncio.wait_for(gateway.table.loaded.wait(), _FIRST_READ_SECONDS)
                except TimeoutError:
                    log.warning("The gateway starts without routes: the database is away")
                self.gateway = gateway
        return self.gateway


async def _refuse(
    send: Send, status: int, message: str, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    body = {"statusCode": status, "message": message, "error": message}
    await respond(send, status, orjson.dumps(body), extra or [])

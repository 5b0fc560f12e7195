"""The gateway: route, check, forward, record, answer; in this order, for every request."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson

from apps.deployments.endpoint_client import EndpointClient
from apps.deployments.endpoints import Endpoint
from apps.deployments.routes import Route
from apps.predictions.gateway import bodies, external, forward
from apps.predictions.gateway.call import Call, Limits
from apps.predictions.gateway.client import HEADER_LENGTH, Refused, ReplicaClient, TimedOut
from apps.predictions.gateway.errors import GatewayError, unavailable
from apps.predictions.gateway.explaining import Explaining, Wish, answered
from apps.predictions.gateway.guard import Guard
from apps.predictions.gateway.identifying import identify
from apps.predictions.gateway.paths import Address
from apps.predictions.gateway.pictures import Artist, PictureWish
from apps.predictions.gateway.reading import Receive, decoded, read_body
from apps.predictions.gateway.recorder import Recorder
from apps.predictions.gateway.recording import commit, leaves_of
from apps.predictions.gateway.spool import Spool
from apps.predictions.gateway.steps import Between, Steps
from apps.predictions.gateway.table import Table
from apps.predictions.gateway.watch import while_connected

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_ONLY_REGISTERED = (
    "This deployment is an entry of the inventory: it has no endpoint and cannot be called here. "
    "Its model runs elsewhere."
)


class Gateway:
    """The data plane of one process."""

    def __init__(self, database_url: str, limits: Limits) -> None:
        self.limits = limits
        self.client = ReplicaClient()
        self.steps = Steps(self.client, limits.timeout_seconds, limits.max_rows)
        self.explaining = Explaining(self.client, limits.explain_seconds, limits.explain_max_rows)
        self.artist = Artist(limits.artist, limits.artist_folder)
        self.endpoints = EndpointClient()
        self.table = Table(database_url, self.client)
        spool = Spool(limits.spool_folder, limits.spool_max_bytes)
        self.recorder = Recorder(database_url, spool)
        bounds = (limits.max_in_flight, limits.max_waiting, limits.max_wait_seconds)
        self.guard = Guard(*bounds)
        # Of its own, so that explanations which take long keep no prediction waiting.
        self.explaining_guard = Guard(*bounds)

    async def start(self) -> None:
        await self.table.start()
        await self.recorder.start()

    @property
    def is_ready(self) -> bool:
        """True where routes are known and records can be committed."""
        return self.table.loaded.is_set() and self.recorder.writer.available

    async def close(self) -> None:
        """Stops following routes, writes what waits, and closes connections."""
        await self.table.close()
        await self.recorder.close()
        await self.endpoints.close()
        self.artist.close()
        self.client.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send, address: Address) -> None:
        """Answers one request of the data plane."""
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1")[:100]
        call = Call(address, content_type, scope.get("query_string", b""))
        extra: list[tuple[bytes, bytes]] = []
        try:
            answer = await self._predict(call, headers, receive)
            status = 200
        except GatewayError as error:
            status, answer, extra = await self._refuse(call, error)
        if call.recorded:
            extra.append((b"x-request-log-id", str(call.id).encode()))
            extra.append((b"x-record", call.durability))
        if answer.is_picture:
            extra.append((b"x-prediction-log-ids", ",".join(call.prediction_ids).encode()))
        if answer.header_length is not None:
            extra.append((HEADER_LENGTH, str(answer.header_length).encode()))
        await respond(send, status, answer.body, extra, answer.content_type)

    async def _predict(
        self, call: Call, headers: dict[bytes, bytes], receive: Receive
    ) -> bodies.Answer:
        identify(self.table, call, headers)
        route = call.route
        assert route is not None
        limits = self.limits
        call.body = await read_body(
            receive, max_bytes=limits.max_body_bytes, seconds=limits.body_seconds
        )
        call.started = time.perf_counter()
        if route.kind == "registration":
            raise GatewayError(409, _ONLY_REGISTERED)
        wish = picture = None
        if call.address.endpoint == "explain":
            wish = Wish.of(route, call.query)
            picture = PictureWish.of(call.address.protocol, call.query, headers)
        if route.desired != "running":
            raise unavailable("This deployment is stopped; its owner can start it.")
        if encoding := headers.get(b"content-encoding"):
            call.body = decoded(
                call.body, encoding.decode("latin-1"), max_bytes=limits.max_body_bytes
            )
        guard = self.guard if wish is None else self.explaining_guard
        await guard.enter(route.deployment_id)
        try:
            if route.is_plain or not route.is_as_is:
                parsed = bodies.parse(
                    call.body,
                    route,
                    max_rows=limits.max_rows,
                    header_length=headers.get(HEADER_LENGTH),
                )
            else:
                parsed = external.as_is(call.body, route.metadata)
            if wish is not None:
                self.explaining.check_rows(len(parsed.instances))
            if wish is not None and picture is not None:
                picture.check(len(parsed.instances), len(wish.names))
            predictions = await while_connected(
                receive, self._decide(call, route, parsed.instances, wish, picture)
            )
        finally:
            guard.leave(route.deployment_id)
        outputs = bodies.outputs_of(call.address.protocol, parsed, predictions, route)
        leaves = leaves_of(call, route, parsed, predictions, limits.largest_json_bytes)
        await commit(self.recorder, call, route, leaves, envelope=parsed.envelope)
        if not route.is_plain and route.is_as_is:
            return bodies.Answer(orjson.dumps(predictions[0]))
        ids = [str(each.id) for each in leaves]
        call.prediction_ids = tuple(ids)
        beside: dict[str, Any] = {}
        if call.explanations is not None:
            beside = {"explanations": answered(call.explanations)}
        if picture is not None and call.picture is not None:
            if not picture.in_json:
                return bodies.Answer(call.picture, is_picture=True)
            beside |= picture.inside(call.picture)
        return bodies.answer(
            call.address.protocol, parsed, predictions, outputs, str(call.id), ids, route.slug,
            beside,
        )  # fmt: skip

    async def _decide(
        self,
        call: Call,
        route: Route,
        instances: list[Any],
        wish: Wish | None,
        picture: PictureWish | None,
    ) -> list[Any]:
        """The predictions, and where these are asked for the explanations of what the model got:
        the transformer's instances where there is one; and their picture."""
        passing = self._forward if route.is_plain else self._through
        predictions = await passing(call, route, instances)
        if wish is None:
            return predictions
        given, gave = instances, predictions
        if call.between is not None:
            given = instances if call.between.inputs is None else call.between.inputs
            gave = predictions if call.between.outputs is None else call.between.outputs
        sent = time.perf_counter()
        try:
            call.explanations = await self.explaining.explain(route, given, gave, wish)
        finally:
            call.explain_us = round((time.perf_counter() - sent) * 1_000_000)
        if picture is not None:
            rows = [
                {"instance": instance, "explanations": said}
                for instance, said in zip(given, call.explanations, strict=True)
            ]
            call.picture = await self.artist.draw(route.metadata, rows, picture.theme)
        return predictions

    async def _forward(self, call: Call, route: Route, instances: list[Any]) -> list[Any]:
        if not route.targets:
            raise unavailable("No model server of this deployment is ready.")
        path, outgoing, header_length = forward.outgoing(route, instances)
        sent = time.perf_counter()
        try:
            reply = await self.client.post(
                route.targets,
                path,
                outgoing,
                timeout_seconds=self.limits.timeout_seconds,
                header_length=header_length,
            )
        except Refused:
            raise unavailable("The model server went away; it is being restarted.") from None
        except TimedOut:
            text = f"The model did not answer within {self.limits.timeout_seconds:g} seconds."
            raise GatewayError(504, text) from None
        finally:
            call.model_us = round((time.perf_counter() - sent) * 1_000_000)
        return forward.incoming(route, reply, len(instances))

    async def _through(self, call: Call, route: Route, instances: list[Any]) -> list[Any]:
        """The way through what is not a model server of ours alone."""
        model = partial(self._forward, call, route)
        if route.endpoint is not None:
            model = partial(self._call_elsewhere, call, route.endpoint)
        if route.transformer is None:
            return await model(instances)
        call.between = Between()
        return await self.steps.around(model, route, instances, call.between)

    async def _call_elsewhere(
        self, call: Call, endpoint: Endpoint, instances: list[Any]
    ) -> list[Any]:
        sent = time.perf_counter()
        try:
            return await external.predict(self.endpoints, endpoint, instances)
        finally:
            call.model_us = round((time.perf_counter() - sent) * 1_000_000)

    async def _refuse(
        self, call: Call, error: GatewayError
    ) -> tuple[int, bodies.Answer, list[tuple[bytes, bytes]]]:
        """Records a refusal of a known deployment, and writes it."""
        if error.recorded and call.route is not None:
            try:
                await commit(self.recorder, call, call.route, [], error=error)
            except GatewayError as away:
                error = away
        extra = []
        if error.retry_after_seconds is not None:
            extra.append((b"retry-after", str(error.retry_after_seconds).encode()))
        if error.status == 401:
            extra.append((b"www-authenticate", b'Bearer realm="deeploy"'))
        body = bodies.refusal(call.address.protocol, error, str(call.id) if call.recorded else None)
        return error.status, bodies.Answer(orjson.dumps(body)), extra


async def respond(
    send: Send,
    status: int,
    body: bytes,
    extra: list[tuple[bytes, bytes]],
    content_type: bytes = b"application/json",
) -> None:
    """Sends one answer."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

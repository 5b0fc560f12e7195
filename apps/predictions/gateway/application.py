"""The gateway: route, check, forward, record, answer; in this order, for every request."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from apps.accounts.callers import Caller
from apps.audit.chain import microseconds
from apps.core.ids import uuid7
from apps.deployments.endpoint_client import EndpointClient
from apps.deployments.endpoints import Endpoint
from apps.deployments.routes import Route
from apps.predictions.gateway import bodies, external, forward
from apps.predictions.gateway.binary import recorded
from apps.predictions.gateway.client import HEADER_LENGTH, Refused, ReplicaClient, TimedOut
from apps.predictions.gateway.errors import GatewayError, unavailable
from apps.predictions.gateway.explaining import Explaining, Wish, answered
from apps.predictions.gateway.guard import Guard
from apps.predictions.gateway.paths import Address
from apps.predictions.gateway.pictures import Artist, PictureWish
from apps.predictions.gateway.reading import Receive, decoded, read_body
from apps.predictions.gateway.record import Content, Leaf, leaf
from apps.predictions.gateway.recorder import Recorder
from apps.predictions.gateway.spool import Spool
from apps.predictions.gateway.steps import Between, Steps
from apps.predictions.gateway.table import Table, allowed
from apps.predictions.gateway.watch import while_connected
from apps.predictions.gateway.writer import Unavailable

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_KEPT_BODY_BYTES = 64 * 1024
_ONLY_REGISTERED = (
    "This deployment is an entry of the inventory: it has no endpoint and cannot be called here. "
    "Its model runs elsewhere."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request."""

    max_body_bytes: int
    max_rows: int
    timeout_seconds: float
    body_seconds: float
    max_in_flight: int
    max_waiting: int
    max_wait_seconds: float
    largest_json_bytes: int
    spool_folder: Path
    spool_max_bytes: int
    explain_seconds: float
    explain_max_rows: int
    artist: str
    artist_folder: Path


@dataclass(slots=True)
class Call:
    """One request on its way through the gateway."""

    address: Address
    content_type: str
    query: bytes = b""
    id: UUID = field(default_factory=uuid7)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.perf_counter)
    route: Route | None = None
    caller: Caller | None = None
    body: bytes = b""
    model_us: int | None = None
    between: Between | None = None
    explanations: list[list[dict[str, Any]]] | None = None
    explain_us: int | None = None
    picture: bytes | None = None
    prediction_ids: tuple[str, ...] = ()
    recorded: bool = False

    @property
    def durability(self) -> bytes:
        assert self.route is not None
        return self.route.durability.encode()


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
        self._identify(call, headers)
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
        leaves = self._predictions(call, route, parsed, predictions)
        await self._commit(call, route, leaves, envelope=parsed.envelope)
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

    def _identify(self, call: Call, headers: dict[bytes, bytes]) -> None:
        """Sets caller and route. Who may not know of a deployment gets the same 404 as for none."""
        if not self.table.loaded.is_set():
            raise unavailable("The gateway has not read its routes yet.", recorded=False)
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        caller = self.table.caller(authorization)
        if caller is None:
            text = "Send a token that is alive: Authorization: Bearer DPT…"
            raise GatewayError(401, text, recorded=False)
        found = [r for r in self._candidates(call.address) if allowed(caller, r)]
        if not found:
            raise GatewayError(404, "There is no such deployment.", recorded=False)
        if len(found) > 1:
            text = (
                f"Several workspaces have a deployment {call.address.deployment}; call "
                "/workspaces/<workspace>/deployments/<deployment>/predict."
            )
            raise GatewayError(409, text, recorded=False)
        call.caller, call.route = caller, found[0]
        if caller.actor.kind == "token" and call.address.endpoint not in caller.scopes:
            raise GatewayError(403, f"This token has not the scope {call.address.endpoint}.")

    def _candidates(self, address: Address) -> list[Route]:
        if address.workspace is None:
            return self.table.by_name.get(address.deployment, [])
        route = self.table.route(address.workspace, address.deployment)
        return [] if route is None else [route]

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

    def _predictions(
        self, call: Call, route: Route, parsed: bodies.Parsed, predictions: list[Any]
    ) -> list[Leaf]:
        at, revision = microseconds(call.at), str(route.revision_id)
        request_id, deployment_id = str(call.id), str(route.deployment_id)
        largest = self.limits.largest_json_bytes
        leaves = []
        for position, (instance, output) in enumerate(
            zip(parsed.instances, predictions, strict=True)
        ):
            identifier = uuid7()
            decided = call.between.decided(position, output) if call.between else output
            outcome, score = bodies.outcome_of(decided, route.metadata)
            content: Content = {
                "id": str(identifier),
                "requestId": request_id,
                "deploymentId": deployment_id,
                "revisionId": revision,
                "at": at,
                "position": position,
                "input": recorded(instance, largest),
                "output": recorded(output, largest),
                "outcome": outcome,
                "score": score,
                "customId": parsed.custom_ids[position],
            }
            if call.between is not None:
                content |= call.between.texts(
                    position, content["input"], content["output"], largest
                )
            if call.explanations is not None:
                content["explanations"] = orjson.dumps(call.explanations[position]).decode()
            leaves.append(leaf(identifier, content))
        return leaves

    async def _commit(
        self,
        call: Call,
        route: Route,
        predictions: list[Leaf],
        *,
        envelope: str | None = None,
        error: GatewayError | None = None,
    ) -> None:
        """Waits until the request and its predictions are durable, or, for a relaxed deployment,
        on their way. Raises GatewayError 503."""
        assert call.caller is not None
        kept = call.body[:_KEPT_BODY_BYTES].decode(errors="replace") if error else None
        content: Content = {
            "id": str(call.id),
            "deploymentId": str(route.deployment_id),
            "revisionId": str(route.revision_id) if route.revision_id else None,
            "at": microseconds(call.at),
            "endpoint": call.address.endpoint,
            "protocol": call.address.protocol,
            "statusCode": error.status if error else 200,
            "error": _storable(error.message) if error else None,
            "durationUs": round((time.perf_counter() - call.started) * 1_000_000),
            "modelUs": call.model_us,
            "callerKind": call.caller.actor.kind,
            "callerId": call.caller.actor.id,
            "callerName": _storable(call.caller.actor.name)[:200],
            "contentType": _storable(call.content_type),
            "count": len(predictions),
            "envelope": envelope,
            "body": _storable(kept) if kept is not None else None,
        }
        if call.between is not None:
            content |= {f"{step}Us": took for step, took in call.between.took_us.items()}
        if call.explain_us is not None:
            content["explainUs"] = call.explain_us
        relaxed = route.durability == "relaxed"
        keep = self.recorder.keep_later if relaxed else self.recorder.keep
        try:
            await keep(leaf(call.id, content), predictions)
            call.recorded = True
        except Unavailable as reason:
            text = f"Nothing was decided: {reason} Try again."
            raise unavailable(text, recorded=False) from None

    async def _refuse(
        self, call: Call, error: GatewayError
    ) -> tuple[int, bodies.Answer, list[tuple[bytes, bytes]]]:
        """Records a refusal of a known deployment, and writes it."""
        if error.recorded and call.route is not None:
            try:
                await self._commit(call, call.route, [], error=error)
            except GatewayError as away:
                error = away
        extra = []
        if error.retry_after_seconds is not None:
            extra.append((b"retry-after", str(error.retry_after_seconds).encode()))
        if error.status == 401:
            extra.append((b"www-authenticate", b'Bearer realm="deeploy"'))
        body = bodies.refusal(call.address.protocol, error, str(call.id) if call.recorded else None)
        return error.status, bodies.Answer(orjson.dumps(body)), extra


def _storable(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\x00", "\ufffd")


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

"""What is kept of a request and of its predictions."""

import time
from typing import Any

import orjson

from apps.audit.chain import microseconds
from apps.core.ids import uuid7
from apps.deployments.routes import Route
from apps.predictions.gateway import bodies
from apps.predictions.gateway.binary import recorded
from apps.predictions.gateway.call import Call
from apps.predictions.gateway.errors import GatewayError, unavailable
from apps.predictions.gateway.record import Content, Leaf, leaf
from apps.predictions.gateway.recorder import Recorder
from apps.predictions.gateway.writer import Unavailable

_KEPT_BODY_BYTES = 64 * 1024


def leaves_of(
    call: Call,
    route: Route,
    parsed: bodies.Parsed,
    predictions: list[Any],
    largest: int,
) -> list[Leaf]:
    """The records of a request's predictions; arrays of more than `largest` bytes are recorded as
    tensors."""
    at, revision = microseconds(call.at), str(route.revision_id)
    request_id, deployment_id = str(call.id), str(route.deployment_id)
    leaves = []
    for position, (instance, output) in enumerate(zip(parsed.instances, predictions, strict=True)):
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
            content |= call.between.texts(position, content["input"], content["output"], largest)
        if call.explanations is not None:
            content["explanations"] = orjson.dumps(call.explanations[position]).decode()
        leaves.append(leaf(identifier, content))
    return leaves


async def commit(
    recorder: Recorder,
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
    keep = recorder.keep_later if relaxed else recorder.keep
    try:
        await keep(leaf(call.id, content), predictions)
        call.recorded = True
    except Unavailable as reason:
        text = f"Nothing was decided: {reason} Try again."
        raise unavailable(text, recorded=False) from None


def _storable(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\x00", "\ufffd")

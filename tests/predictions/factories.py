"""Writes sealed groups of the log in the test's own transaction, as the log writer would."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.audit.chain import GENESIS, merkle_root, microseconds, seal_hash
from apps.audit.models import Seal, Writer
from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.predictions.gateway.record import leaf
from apps.predictions.models import PredictionRecord, RequestRecord

CASE = {"age": 41, "city": "Urk", "income": 2500.5}


def write_request(
    deployment: Deployment,
    cases: list[dict[str, Any]] | None = None,
    *,
    custom_ids: list[str | None] | None = None,
    p_bad: float = 0.9,
    status: int = 200,
    error: str | None = None,
    body: str | None = None,
    envelope: str | None = None,
    at: datetime | None = None,
) -> RequestRecord:
    """One request with a prediction per case, sealed. Refusals have a body and no cases."""
    cases = cases if cases is not None else ([CASE] if status == 200 else [])
    at = at or datetime.now(UTC)
    revision = deployment.revisions.all()[0]
    request_id = uuid7()
    shared: dict[str, Any] = {
        "deploymentId": str(deployment.id),
        "revisionId": str(revision.id),
        "at": microseconds(at),
    }
    request: dict[str, Any] = shared | {
        "id": str(request_id),
        "endpoint": "predict",
        "protocol": "deeploy",
        "statusCode": status,
        "error": error,
        "durationUs": 1500,
        "modelUs": 900,
        "callerKind": "token",
        "callerId": str(UUID(int=3)),
        "callerName": "Branch portal",
        "contentType": "application/json",
        "count": len(cases),
        "envelope": envelope,
        "body": body,
    }
    output = json.dumps([1 - p_bad, p_bad])
    predictions = [
        shared
        | {
            "id": str(uuid7()),
            "requestId": str(request_id),
            "position": position,
            "input": json.dumps(case),
            "output": output,
            "outcome": "bad" if p_bad > 0.5 else "good",
            "score": repr(max(p_bad, 1 - p_bad)),
            "customId": custom_ids[position] if custom_ids else None,
        }
        for position, case in enumerate(cases)
    ]
    _seal(request, predictions)
    return RequestRecord.objects.get(id=request_id)


def prediction_of(deployment: Deployment, **given: Any) -> PredictionRecord:
    """The one prediction of a new request."""
    request = write_request(deployment, **given)
    return PredictionRecord.objects.get(request=request)


def _seal(request: dict[str, Any], predictions: list[dict[str, Any]]) -> None:
    leaves = [leaf(UUID(each["id"]), each) for each in (request, *predictions)]
    writer, _ = Writer.objects.get_or_create(
        id=UUID(int=9), defaults={"started_at": timezone.now(), "hash": GENESIS}
    )
    ordered = sorted(leaves, key=lambda each: each.id)
    sealed: dict[str, Any] = {
        "number": writer.number + 1,
        "at": datetime.now(UTC),
        "count": len(ordered),
        "first_id": ordered[0].id,
        "last_id": ordered[-1].id,
        "root": merkle_root([each.digest for each in ordered]),
        "previous_hash": bytes(writer.hash),
    }
    columns = [
        _columns(each.content)
        | {"salt": each.salt, "digest": each.digest, "writer": writer.id, "seal": sealed["number"]}
        for each in leaves
    ]
    RequestRecord.objects.create(**columns[0])
    PredictionRecord.objects.bulk_create([PredictionRecord(**each) for each in columns[1:]])
    writer.number = sealed["number"]
    writer.hash = seal_hash(writer=writer.id, **sealed)
    Seal.objects.create(writer=writer, hash=writer.hash, **sealed)
    writer.save()


def _columns(content: dict[str, Any]) -> dict[str, Any]:
    snake = {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in k): v for k, v in content.items()
    }
    return snake | {"at": datetime.fromtimestamp(content["at"] / 1_000_000, UTC)}

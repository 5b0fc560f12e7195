"""The log on the wire, with the names that the official client knows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from apps.predictions.companion import Withheld, companion
from apps.predictions.models import LogRecord, PredictionRecord, RequestRecord
from apps.predictions.proof import Proof
from apps.predictions.verification import content_of


def request_out(
    record: RequestRecord, predictions: list[PredictionRecord] | None = None
) -> dict[str, Any]:
    """A request; with its predictions also the raw bodies, as far as they were recorded."""
    shown = {
        "id": str(record.id),
        "deploymentId": str(record.deployment_id),
        "revisionId": str(record.revision_id) if record.revision_id else None,
        "commit": None,
        "requestContentType": record.content_type,
        "responseTimeMS": round(record.duration_us / 1000),
        "statusCode": record.status_code,
        "error": record.error,
        "personalKeysId": record.caller_id if record.caller_kind == "key_pair" else None,
        "tokenId": record.caller_id if record.caller_kind == "token" else None,
        "oidcSubjectId": None,
        "callerKind": record.caller_kind,
        "callerName": record.caller_name,
        "createdAt": record.at.isoformat(),
        "endpointPath": record.endpoint,
        "protocol": record.protocol,
        "streaming": False,
        "count": record.count,
    }
    return shown if predictions is None else shown | _raw(record, predictions)


def predictions_out(
    records: Sequence[PredictionRecord], withheld: Mapping[UUID, Withheld]
) -> list[dict[str, Any]]:
    """Predictions, each with what stands beside it; of a veiled one why it is."""
    beside = companion().wire([record.id for record in records])
    for record in records:
        if record.is_withheld:
            words = withheld[record.id].words
            beside[record.id] = dict.fromkeys(beside[record.id]) | {"withheld": words}
    return [prediction_out(record) | beside[record.id] for record in records]


def prediction_out(record: PredictionRecord) -> dict[str, Any]:
    """A prediction with its request; an erased one has neither input nor output."""
    no_output = record.output is None
    return {
        "id": str(record.id),
        "requestLogId": str(record.request_id),
        "deploymentId": str(record.deployment_id),
        "requestBody": None if record.input is None else {"instances": [record.input_value]},
        "responseBody": None if no_output else {"predictions": [record.output_value]},
        "explanations": record.explanation_values,
        "requestLog": request_out(record.request),
        "predictionClass": record.outcome,
        "score": None if record.score is None else float(record.score),
        "position": record.position,
        "createdAt": record.at.isoformat(),
        "erasedAt": record.erased_at.isoformat() if record.erased_at else None,
        "withheld": None,
        "tags": {} if record.custom_id is None else {"customId": record.custom_id},
        "endpointType": record.request.endpoint,
        "streaming": False,
    }


def proof_out(record: LogRecord, proof: Proof) -> dict[str, Any]:
    """What the record's digest was made of, and its way up to the sealed root. All in hexadecimal;
    `salt` and `content` are null where the record was erased, or is withheld for now."""
    seal = proof.seal
    known = record.salt is not None and not (
        isinstance(record, PredictionRecord) and record.is_withheld
    )
    return {
        "state": proof.state,
        "digest": bytes(record.digest).hex(),
        "salt": bytes(record.salt or b"").hex() if known else None,
        "content": content_of(record) if known else None,
        "writer": str(record.writer),
        "seal": record.seal,
        "index": proof.index,
        "count": proof.count,
        "path": [step.hex() for step in proof.path],
        "root": bytes(seal.root).hex() if seal else None,
        "sealHash": bytes(seal.hash).hex() if seal else None,
        "sealedAt": seal.at.isoformat() if seal else None,
    }


def _raw(record: RequestRecord, predictions: list[PredictionRecord]) -> dict[str, Any]:
    """The bodies, put together again from what was recorded; a refused one as far as it is JSON."""
    if record.body is not None or record.status_code >= 400:
        answer = {"statusCode": record.status_code, "message": record.error}
        return {"rawRequestBody": _object(record.body), "rawResponseBody": answer}
    if any(each.output is None for each in predictions):
        return {"rawRequestBody": None, "rawResponseBody": None}
    envelope = _object(record.envelope) or {}
    bodies: dict[str, Any] = {"predictions": [each.output_value for each in predictions]}
    if any(each.explanations is not None for each in predictions):
        bodies["explanations"] = [each.explanation_values for each in predictions]
    return {
        "rawRequestBody": envelope | {"instances": [each.input_value for each in predictions]},
        "rawResponseBody": bodies,
    }


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {"text": text} if text else None
    return value if isinstance(value, dict) else {"text": text}

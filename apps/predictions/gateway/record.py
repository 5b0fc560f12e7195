"""What a record's digest commits to, at the time of writing and of verifying."""

import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from apps.audit.chain import microseconds
from apps.core.canonical import canonical, digest_of_text
from apps.predictions.models import PredictionRecord, RequestRecord

Content = dict[str, Any]


@dataclass(slots=True)
class Leaf:
    """One record on its way into a seal; `text` is its content as canonical JSON."""

    id: UUID
    text: bytes
    salt: bytes
    digest: bytes

    @property
    def content(self) -> Content:
        content: Content = orjson.loads(self.text)
        return content

    @property
    def row(self) -> bytes:
        """The content as a JSON object with salt and digest in hexadecimal, for the database."""
        marks = f'{{"salt":"{self.salt.hex()}","digest":"{self.digest.hex()}",'
        return marks.encode() + self.text[1:]


def leaf(identifier: UUID, content: Content, salt: bytes | None = None) -> Leaf:
    """Salts and digests a record. All values are text, whole numbers, booleans or null."""
    text, salt = canonical(content), salt or os.urandom(16)
    return Leaf(identifier, text, salt, digest_of_text(salt, text))


def request_content(record: RequestRecord) -> Content:
    """The content of a stored request, as it was when its digest was made."""
    steps = {
        "preprocessUs": record.preprocess_us,
        "postprocessUs": record.postprocess_us,
        "explainUs": record.explain_us,
    }
    return _present(steps) | {
        "id": str(record.id),
        "deploymentId": str(record.deployment_id),
        "revisionId": _text(record.revision_id),
        "at": microseconds(record.at),
        "endpoint": record.endpoint,
        "protocol": record.protocol,
        "statusCode": record.status_code,
        "error": record.error,
        "durationUs": record.duration_us,
        "modelUs": record.model_us,
        "callerKind": record.caller_kind,
        "callerId": record.caller_id,
        "callerName": record.caller_name,
        "contentType": record.content_type,
        "count": record.count,
        "envelope": record.envelope,
        "body": record.body,
    }


def prediction_content(record: PredictionRecord) -> Content:
    """The content of a stored prediction, as it was when its digest was made."""
    between = {
        "modelInput": record.model_input,
        "modelOutput": record.model_output,
        "explanations": record.explanations,
    }
    return _present(between) | {
        "id": str(record.id),
        "requestId": str(record.request_id),
        "deploymentId": str(record.deployment_id),
        "revisionId": _text(record.revision_id),
        "at": microseconds(record.at),
        "position": record.position,
        "input": record.input,
        "output": record.output,
        "outcome": record.outcome,
        "score": record.score,
        "customId": record.custom_id,
    }


def _present(later: Content) -> Content:
    """What was added to the records after the first of them were written.

    Such a key stands in the content only where it has a value, so that the digests of older
    records, and of those that have no use for it, stay what they were. Taking the value from a
    column, or putting one there, changes the content all the same.
    """
    return {key: value for key, value in later.items() if value is not None}


def _text(identifier: UUID | None) -> str | None:
    return str(identifier) if identifier else None

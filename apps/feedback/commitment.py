"""What the digests of evaluations and actuals commit to."""

import os
from typing import Any

from apps.audit.chain import microseconds
from apps.core.canonical import digest
from apps.feedback.models import Actual, Entry, Evaluation

# What an erasure takes, beside the salt.
PAYLOAD: dict[type[Entry], tuple[str, ...]] = {
    Evaluation: (
        *("verdict", "desired_output", "desired_outcome", "comment", "reason"),
        *("seen", "spent_ms", "predicted_outcome"),
    ),
    Actual: ("value", "outcome", "predicted_outcome"),
}


def content_of(entry: Entry) -> dict[str, Any]:
    """All values are text, whole numbers or null."""
    shared = {
        "id": str(entry.id),
        "predictionId": str(entry.prediction_id),
        "deploymentId": str(entry.deployment_id),
        "at": microseconds(entry.at),
        "supersedes": str(entry.supersedes_id) if entry.supersedes_id else None,
        "authorKind": entry.author_kind,
        "authorId": entry.author_id,
        "authorName": entry.author_name,
        "keyPairId": str(entry.key_pair_id) if entry.key_pair_id else None,
    }
    if isinstance(entry, Actual):
        return shared | {
            "value": entry.value,
            "outcome": entry.outcome,
            "batch": str(entry.batch),
        }
    assert isinstance(entry, Evaluation)
    return shared | {
        "verdict": entry.verdict,
        "desiredOutput": entry.desired_output,
        "desiredOutcome": entry.desired_outcome,
        "comment": entry.comment,
        "reason": entry.reason,
        "seen": entry.seen,
        "spentMs": entry.spent_ms,
    }


def commit(entry: Entry) -> None:
    """Salts and digests an entry that is complete and not yet saved."""
    entry.salt = os.urandom(16)
    entry.digest = digest(bytes(entry.salt), content_of(entry))


def fault(entry: Entry) -> str | None:
    """Why an entry's content is not what its digest committed to, or what an erasure leaves."""
    if entry.erased_at is not None:
        left = [name for name in PAYLOAD[type(entry)] if getattr(entry, name) is not None]
        return "it was erased, but has content" if left or entry.salt is not None else None
    if entry.salt is None:
        return "its salt is gone, and nothing says that it was erased"
    if digest(bytes(entry.salt), content_of(entry)) != bytes(entry.digest):
        return "its content is not what was given"
    return None

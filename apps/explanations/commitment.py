"""What the digest of a later explanation commits to, and whether it still holds."""

import json
from typing import Any

from apps.audit.chain import microseconds
from apps.audit.models import Event
from apps.core.canonical import digest
from apps.explanations.models import Explanation

EVENT = "explanation.made"


def content_of(explanation: Explanation) -> dict[str, Any]:
    """All values are text or whole numbers."""
    return {
        "id": str(explanation.id),
        "predictionId": str(explanation.prediction_id),
        "deploymentId": str(explanation.deployment_id),
        "revisionId": str(explanation.revision_id),
        "name": explanation.name,
        "method": explanation.method,
        "explanation": explanation.text,
        "at": microseconds(explanation.at),
        "byKind": explanation.by_kind,
        "byId": explanation.by_id,
        "byName": explanation.by_name,
    }


def fault(explanation: Explanation) -> str | None:
    """Why an explanation is not what was made; None where it is. The event chain that holds its
    digest is verified apart."""
    event = Event.objects.filter(
        object_type="explanation", object_id=str(explanation.id), name=EVENT
    ).first()
    known = bytes(explanation.digest)
    if event is None or json.loads(event.data or "{}").get("digest") != known.hex():
        return "no event says that it was made so"
    if explanation.erased_at is not None:
        whole = explanation.text is None and explanation.salt is None
        return None if whole else "it was erased, but has content"
    if (
        explanation.salt is None
        or digest(bytes(explanation.salt), content_of(explanation)) != known
    ):
        return "its content is not what was made"
    return None

"""What the digest of a later explanation commits to, and whether it still holds."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apps.audit.chain import microseconds
from apps.audit.models import Event
from apps.core.canonical import digest
from apps.explanations.models import Explanation

KIND = "explanation"
EVENT = "explanation.made"
_ERASED = "prediction.erased"


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


@dataclass(frozen=True, slots=True)
class Told:
    """What the events say of some explanations: that each was made, by its id, and which
    predictions were erased."""

    made: dict[str, Event]
    erased: frozenset[str]


def told_of(explanations: Iterable[Explanation]) -> Told:
    """Two queries for any number of explanations."""
    ids = [str(each.id) for each in explanations]
    predictions = [str(each.prediction_id) for each in explanations if each.erased_at is not None]
    made = Event.objects.filter(object_type=KIND, object_id__in=ids, name=EVENT)
    erased = Event.objects.filter(object_type="prediction", object_id__in=predictions, name=_ERASED)
    return Told(
        {event.object_id: event for event in made},
        frozenset(erased.values_list("object_id", flat=True)),
    )


def fault(explanation: Explanation, told: Told | None = None) -> str | None:
    """Why an explanation is not what was made; None where it is. The event chain that holds its
    digest is verified apart."""
    told = told or told_of([explanation])
    event, known = told.made.get(str(explanation.id)), bytes(explanation.digest)
    if event is None or json.loads(event.data or "{}").get("digest") != known.hex():
        return "no event says that it was made so"
    if explanation.erased_at is not None:
        if explanation.text is not None or explanation.salt is not None:
            return "it was erased, but has content"
        if str(explanation.prediction_id) not in told.erased:
            return "its content is gone, and no event says that its prediction was erased"
        return None
    if explanation.salt is None:
        return "its content is gone, and nothing says that it was erased"
    if digest(bytes(explanation.salt), content_of(explanation)) != known:
        return "its content is not what was made"
    return None

"""Later explanations as a part of the record: walked by `verify`, and held by bundles."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.audit.chain import Problem
from apps.audit.models import Event
from apps.audit.verification import Tick
from apps.explanations.commitment import EVENT, KIND, content_of, fault, told_of
from apps.explanations.models import Explanation
from apps.predictions.record_parts import RecordPart, Span

_NAME = "explanations"
_AT_ONCE = 1_000


def _check(tick: Tick) -> Iterator[Problem]:
    """Holds every explanation against its event, then every event against its explanation."""
    for rows in _batches(Explanation.objects.all()):
        told = told_of(rows)
        for row in rows:
            if why := fault(row, told):
                yield Problem(_NAME, f"{KIND} {row.id} of prediction {row.prediction_id}", why)
        tick(_NAME, len(rows))
    yield from _gone()


def _gone() -> Iterator[Problem]:
    """What an event says was made, and is here no more; by object, as the events' index goes."""
    found = Event.objects.filter(object_type=KIND, name=EVENT).order_by("object_id")
    after = ""
    while events := list(found.filter(object_id__gt=after)[:_AT_ONCE]):
        here = Explanation.objects.filter(id__in=[event.object_id for event in events])
        known = {str(identifier) for identifier in here.values_list("id", flat=True)}
        for event in events:
            if event.object_id not in known:
                text = f"event {event.number} says that it was made, and it is gone"
                yield Problem(_NAME, f"{KIND} {event.object_id}", text)
        after = events[-1].object_id


def _batches(found: QuerySet[Explanation]) -> Iterator[list[Explanation]]:
    """In the order in which they were made, some at a time; holds no cursor open."""
    after = UUID(int=0)
    while rows := list(found.filter(id__gt=after).order_by("id")[:_AT_ONCE]):
        yield rows
        after = rows[-1].id


def _lines(span: Span) -> Iterator[list[dict[str, Any]]]:
    """Those whose event the bundle shows, and those of which no event speaks."""
    found = Explanation.objects.all()
    if span.deployments is not None:
        found = found.filter(deployment__in=span.deployments)
    for rows in _batches(found):
        made = told_of(rows).made
        events = [(row, made.get(str(row.id))) for row in rows]
        yield [_line(row) for row, event in events if event is None or span.holds(event)]


def _line(row: Explanation) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "digest": bytes(row.digest).hex(),
        "salt": bytes(row.salt or b"").hex() if row.salt is not None else None,
        "content": content_of(row),
    }


PART = RecordPart(_NAME, Explanation.objects.count, _check, _lines)

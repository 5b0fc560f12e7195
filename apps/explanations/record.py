"""Later explanations as a part of the record: walked by `verify`, and held by bundles."""

from collections.abc import Iterator
from uuid import UUID

from apps.audit.chain import Problem
from apps.audit.models import Event
from apps.audit.verification import Tick, event_faults
from apps.explanations.commitment import EVENT, KIND, content_of, fault, told_of
from apps.explanations.models import Explanation
from apps.predictions.record_parts import (
    BROKEN_EVENT,
    Beside,
    Lines,
    RecordPart,
    Span,
    in_order,
    line_of,
)

_NAME = "explanations"
_AT_ONCE = 1_000


def _check(tick: Tick) -> Iterator[Problem]:
    """Holds every explanation against its event, then every event against its explanation."""
    for rows in in_order(Explanation.objects.all()):
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


def _lines(span: Span) -> Lines:
    for rows in in_order(span.within(Explanation.objects.all())):
        made = told_of(rows).made
        yield [line_of(row, content_of(row)) for row in rows if span.holds(made.get(str(row.id)))]


def _beside(prediction: UUID) -> list[Beside]:
    rows = list(Explanation.objects.filter(prediction_id=prediction).order_by("id"))
    told = told_of(rows)
    events = event_faults(list(told.made.values()))
    found = []
    for row in rows:
        text = fault(row, told)
        if text is None and (broken := events.get(told.made[str(row.id)].number)):
            text = BROKEN_EVENT + broken
        erased = ", erased" if row.erased_at is not None else ""
        says = f"Explanation {row.name}, made later by {row.by_name}{erased}"
        found.append(Beside(says, row.at, text or ""))
    return found


PART = RecordPart(_NAME, Explanation.objects.count, _check, _lines, _beside)

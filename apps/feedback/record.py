"""Evaluations and actuals as parts of the record: walked by `verify`, held by bundles, and checked
on the page of a prediction."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from django.db.models import QuerySet

from apps.audit.verification import event_faults
from apps.feedback.commitment import content_of
from apps.feedback.models import Actual, Entry, Evaluation
from apps.feedback.verification import (
    ACTUALS,
    EVALUATIONS,
    NO_BATCH,
    batch_faults,
    entry_faults,
    evaluation_faults,
    events_of_actuals,
    events_of_evaluations,
    verify_actuals,
    verify_evaluations,
)
from apps.predictions.record_parts import (
    BROKEN_EVENT,
    Beside,
    Lines,
    RecordPart,
    Span,
    in_order,
    line_of,
)

_AT_ONCE = 1_000


def _evaluation_lines(span: Span) -> Lines:
    for rows in in_order(span.within(Evaluation.objects.all())):
        events = events_of_evaluations(rows)
        kept = [row for row in rows if span.holds(events.get(str(row.id)))]
        yield [line_of(row, content_of(row)) for row in kept]


def _actual_lines(span: Span) -> Lines:
    """A batch after the other, as their events bind them."""
    for rows in _by_batch(span.within(Actual.objects.all())):
        events = events_of_actuals(rows)
        kept = [row for row in rows if span.holds(events.get(str(row.batch)))]
        yield [line_of(row, content_of(row)) for row in kept]


def _by_batch(found: QuerySet[Actual]) -> Iterator[list[Actual]]:
    """In the order of batches, within them of ids, some at a time; holds no cursor open."""
    rows = list(found.order_by("batch", "id")[:_AT_ONCE])
    while rows:
        yield rows
        last = rows[-1]
        rest = found.filter(batch__gte=last.batch).exclude(batch=last.batch, id__lte=last.id)
        rows = list(rest.order_by("batch", "id")[:_AT_ONCE])


def _evaluations_beside(prediction: UUID) -> list[Beside]:
    rows = list(Evaluation.objects.filter(prediction_id=prediction).order_by("id"))
    events = events_of_evaluations(rows)
    broken = event_faults(list(events.values()))
    texts = _first_of(evaluation_faults(rows, events))
    for row in rows:
        event = events.get(str(row.id))
        if event is not None and event.number in broken:
            texts.setdefault(row.id, BROKEN_EVENT + broken[event.number])
    return [Beside(_says("Evaluation", row), row.at, texts.get(row.id, "")) for row in rows]


def _actuals_beside(prediction: UUID) -> list[Beside]:
    """Each with its whole batch, because that is what an event binds."""
    rows = list(Actual.objects.filter(prediction_id=prediction).order_by("id"))
    events = events_of_actuals(rows)
    broken = event_faults(list(events.values()))
    batches = batch_faults(list(events.values()))
    texts = _first_of(entry_faults(rows))
    for row in rows:
        event = events.get(str(row.batch))
        if event is None:
            texts.setdefault(row.id, f"its batch: {NO_BATCH}")
        elif row.batch in batches:
            texts.setdefault(row.id, f"its batch: {batches[row.batch]}")
        elif event.number in broken:
            texts.setdefault(row.id, BROKEN_EVENT + broken[event.number])
    return [Beside(_says("Actual", row), row.at, texts.get(row.id, "")) for row in rows]


def _first_of(found: Iterable[tuple[Entry, str]]) -> dict[UUID, str]:
    """What is broken of each entry first."""
    texts: dict[UUID, str] = {}
    for entry, text in found:
        texts.setdefault(entry.id, text)
    return texts


def _says(kind: str, entry: Entry) -> str:
    erased = ", erased" if entry.erased_at is not None else ""
    return f"{kind} by {entry.author_name}{erased}"


EVALUATION_PART = RecordPart(
    EVALUATIONS,
    Evaluation.objects.count,
    verify_evaluations,
    _evaluation_lines,
    _evaluations_beside,
)
ACTUAL_PART = RecordPart(
    ACTUALS, Actual.objects.count, verify_actuals, _actual_lines, _actuals_beside
)

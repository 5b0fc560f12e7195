"""Checks evaluations and actuals against the events that bind them, and names what is broken.

The event chain itself is verified apart.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from apps.audit.chain import Problem, merkle_root
from apps.audit.models import Event
from apps.audit.verification import Tick, uncounted
from apps.feedback.commitment import fault
from apps.feedback.models import Actual, Entry, Evaluation
from apps.predictions.models import PredictionRecord
from apps.predictions.record_parts import in_order

EVALUATIONS = "evaluations"
ACTUALS = "actuals"
_AT_ONCE = 1_000
_EVALUATION_EVENTS = ("evaluation.given", "evaluation.corrected", "evaluation.withdrawn")
_BATCH_EVENT = "actuals.recorded"
NO_BATCH = "no event says that they were recorded"


def faults() -> Iterator[Problem]:
    """What is broken of both kinds."""
    yield from verify_evaluations()
    yield from verify_actuals()


def verify_evaluations(tick: Tick = uncounted) -> Iterator[Problem]:
    """Every evaluation says what its event bound and what the log says of its prediction, every
    event has its evaluation, erasures are those of their predictions, and what is current has not
    been superseded."""
    for entries in in_order(Evaluation.objects.all()):
        for entry, text in evaluation_faults(entries, events_of_evaluations(entries)):
            yield Problem(EVALUATIONS, f"evaluation {entry.id}", text)
        tick(EVALUATIONS, len(entries))
    yield from _missing_evaluations()


def verify_actuals(tick: Tick = uncounted) -> Iterator[Problem]:
    """The same of actuals, whose events bind a batch each."""
    for entries in in_order(Actual.objects.all()):
        for entry, text in entry_faults(entries):
            yield Problem(ACTUALS, f"actual {entry.id}", text)
        tick(ACTUALS, len(entries))
    for events in _events((_BATCH_EVENT,), at_once=20):
        for batch, text in batch_faults(events).items():
            yield Problem(ACTUALS, f"actuals {batch}", text)
    yield from _batches_without_events()


def evaluation_faults(
    entries: Sequence[Evaluation], events: dict[str, Event]
) -> Iterator[tuple[Entry, str]]:
    """What is broken of some evaluations, of which these are the events."""
    for entry in entries:
        event = events.get(str(entry.id))
        if event is None or _data(event).get("digest") != bytes(entry.digest).hex():
            yield entry, "no event says that it was given so"
    yield from entry_faults(entries)


def entry_faults(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """What both kinds have in common: content, erasure, and which is current."""
    if not entries:
        return
    model = type(entries[0])
    superseded = set(
        model._default_manager.filter(supersedes__in=[e.id for e in entries]).values_list(
            "supersedes_id", flat=True
        )
    )
    predictions = PredictionRecord.objects.filter(
        id__in={e.prediction_id for e in entries}, salt__isnull=False
    )
    kept = {id_: said for id_, *said in predictions.values_list("id", "at", "outcome")}
    for entry in entries:
        text = fault(entry)
        said = kept.get(entry.prediction_id)
        if text is None and entry.erased_at is not None and said is not None:
            text = "it was erased, but its prediction was not"
        if text is None and said not in (None, [entry.predicted_at, entry.predicted_outcome]):
            text = "what it keeps of its prediction is not what the log says"
        if text is None and entry.is_current == (entry.id in superseded):
            text = "it is said to be " + ("current" if entry.is_current else "superseded")
            text += ", and another entry says otherwise"
        if text:
            yield entry, text


def batch_faults(events: Sequence[Event]) -> dict[UUID, str]:
    """By batch, why the actuals that are here are not those that its event binds."""
    digests = defaultdict(list)
    batches = [UUID(event.object_id) for event in events]
    rows = Actual.objects.filter(batch__in=batches).order_by("id")
    for batch, digest in rows.values_list("batch", "digest"):
        digests[batch].append(bytes(digest))
    broken = {}
    for batch, event in zip(batches, events, strict=True):
        found, said = digests[batch], _data(event)
        if len(found) != said.get("count"):
            broken[batch] = f"event {event.number} binds {said.get('count')}, {len(found)} are here"
        elif merkle_root(found).hex() != said.get("root"):
            broken[batch] = f"they are not the ones that event {event.number} binds"
    return broken


def events_of_evaluations(entries: Sequence[Evaluation]) -> dict[str, Event]:
    """The events that bind some evaluations, by the id of the evaluation."""
    events = Event.objects.filter(
        object_type="evaluation", object_id__in=[str(entry.id) for entry in entries]
    )
    return {event.object_id: event for event in events}


def events_of_actuals(entries: Sequence[Actual]) -> dict[str, Event]:
    """The events that bind the batches of some actuals, by the id of the batch."""
    batches = {str(entry.batch) for entry in entries}
    events = Event.objects.filter(object_type="actuals", object_id__in=batches, name=_BATCH_EVENT)
    return {event.object_id: event for event in events}


def _missing_evaluations() -> Iterator[Problem]:
    for events in _events(_EVALUATION_EVENTS):
        wanted = {event.object_id for event in events}
        here = Evaluation.objects.filter(id__in=wanted).values_list("id", flat=True)
        for gone in sorted(wanted - set(map(str, here))):
            yield Problem(EVALUATIONS, f"evaluation {gone}", "an event names it, and it is gone")


def _batches_without_events() -> Iterator[Problem]:
    named = "SELECT object_id FROM audit_event WHERE object_type = 'actuals'"
    condition = f"batch::text NOT IN ({named})"
    stray = Actual.objects.extra(where=[condition])  # noqa: S610  no value from outside
    for batch in stray.order_by("batch").values_list("batch", flat=True).distinct():
        yield Problem(ACTUALS, f"actuals {batch}", NO_BATCH)


def _events(names: Sequence[str], at_once: int = _AT_ONCE) -> Iterator[list[Event]]:
    number = 0
    while events := list(
        Event.objects.filter(name__in=names, number__gt=number).order_by("number")[:at_once]
    ):
        yield events
        number = events[-1].number


def _data(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.data or "{}")
    return found

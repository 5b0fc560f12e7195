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

NAME = "feedback entries"
_AT_ONCE = 1_000
_EVALUATION_EVENTS = ("evaluation.given", "evaluation.corrected", "evaluation.withdrawn")
_BATCH_EVENT = "actuals.recorded"


def faults(tick: Tick = uncounted) -> Iterator[Problem]:
    """Every entry says what its event bound and what the log says of its prediction, every event
    has its entries, erasures are those of their predictions, and what is current has not been
    superseded. Holds some thousand rows."""
    for entries in _batches(Evaluation):
        yield from _evaluations(entries)
        yield from _shared(entries)
        tick(NAME, len(entries))
    for entries in _batches(Actual):
        yield from _shared(entries)
        tick(NAME, len(entries))
    yield from _missing_evaluations()
    yield from _events_of_batches()
    yield from _batches_without_events()


def _batches(model: type[Any]) -> Iterator[list[Any]]:
    last = UUID(int=0)
    while rows := list(model.objects.filter(id__gt=last).order_by("id")[:_AT_ONCE]):
        yield rows
        last = rows[-1].id


def _shared(entries: Sequence[Entry]) -> Iterator[Problem]:
    """What both kinds have in common: content, erasure, and which is current."""
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
            yield _problem(entry, text)


def _evaluations(entries: Sequence[Evaluation]) -> Iterator[Problem]:
    events = Event.objects.filter(
        object_type="evaluation", object_id__in=[str(e.id) for e in entries]
    )
    bound = {event.object_id: _data(event).get("digest") for event in events}
    for entry in entries:
        if bound.get(str(entry.id)) != bytes(entry.digest).hex():
            yield _problem(entry, "no event says that it was given so")


def _missing_evaluations() -> Iterator[Problem]:
    for events in _events(_EVALUATION_EVENTS):
        wanted = {event.object_id for event in events}
        here = Evaluation.objects.filter(id__in=wanted).values_list("id", flat=True)
        for gone in sorted(wanted - set(map(str, here))):
            yield Problem(NAME, f"evaluation {gone}", "an event names it, and it is gone")


def _events_of_batches() -> Iterator[Problem]:
    for events in _events((_BATCH_EVENT,), at_once=20):
        digests = defaultdict(list)
        batches = [UUID(event.object_id) for event in events]
        rows = Actual.objects.filter(batch__in=batches).order_by("id")
        for batch, digest in rows.values_list("batch", "digest"):
            digests[str(batch)].append(bytes(digest))
        for event in events:
            found, said = digests[event.object_id], _data(event)
            place = f"actuals {event.object_id}"
            if len(found) != said.get("count"):
                text = f"event {event.number} binds {said.get('count')}, {len(found)} are here"
                yield Problem(NAME, place, text)
            elif merkle_root(found).hex() != said.get("root"):
                text = f"they are not the ones that event {event.number} binds"
                yield Problem(NAME, place, text)


def _batches_without_events() -> Iterator[Problem]:
    named = "SELECT object_id FROM audit_event WHERE object_type = 'actuals'"
    condition = f"batch::text NOT IN ({named})"
    stray = Actual.objects.extra(where=[condition])  # noqa: S610  no value from outside
    for batch in stray.order_by("batch").values_list("batch", flat=True).distinct():
        yield Problem(NAME, f"actuals {batch}", "no event says that they were recorded")


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


def _problem(entry: Entry, text: str) -> Problem:
    kind = "evaluation" if isinstance(entry, Evaluation) else "actual"
    return Problem(NAME, f"{kind} {entry.id}", text)

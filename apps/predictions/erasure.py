"""What an erasure takes and what it leaves, and the check that nothing else hides as one.

An erased record has no salt and no payload. Its digest stays under its seal, and an event names
it and binds what is left (`kept`), so neither an edit nor a removal can pass for an erasure.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from apps.audit.chain import Problem
from apps.audit.models import Event
from apps.core.canonical import canonical
from apps.predictions.gateway.record import prediction_content, request_content
from apps.predictions.models import LogRecord, PredictionRecord, RequestRecord

PAYLOAD: dict[type[LogRecord], tuple[str, ...]] = {
    PredictionRecord: (
        *("input", "output", "outcome", "score", "custom_id"),
        *("model_input", "model_output", "explanations"),
    ),
    RequestRecord: ("error", "envelope", "body"),
}
KINDS: dict[type[LogRecord], str] = {PredictionRecord: "prediction", RequestRecord: "request"}
_PAYLOAD_IN_CONTENT = {
    *("input", "output", "outcome", "score", "customId", "modelInput", "modelOutput"),
    *("error", "envelope", "body", "explanations"),
}
_AT_ONCE = 1_000


def kept_hash(record: LogRecord) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of what stays of an erased record."""
    if isinstance(record, PredictionRecord):
        content = prediction_content(record)
    else:
        assert isinstance(record, RequestRecord)
        content = request_content(record)
    kept = {key: value for key, value in content.items() if key not in _PAYLOAD_IN_CONTENT}
    return hashlib.sha256(canonical(kept)).hexdigest()


def event_name(kind: str) -> str:
    return f"{kind}.erased"


def erasure_fault(record: LogRecord) -> str | None:
    """Why one record is not what an erasure leaves; None where it is."""
    kind = KINDS[type(record)]
    event = Event.objects.filter(
        object_type=kind, object_id=str(record.id), name=event_name(kind)
    ).first()
    return _fault(record, event)


def verify_erasures() -> Iterator[Problem]:
    """Every record without salt or with a part of its payload taken has its event, and says what
    the event left; every event's record is erased."""
    for model, kind in KINDS.items():
        yield from _verify_marked(model, kind)
        yield from _verify_events(model, kind)


def _verify_marked(model: type[Any], kind: str) -> Iterator[Problem]:
    batch: list[LogRecord] = []
    marked = model.objects.filter(Q(salt=None) | Q(erased_at__isnull=False)).order_by("id")
    for record in marked.iterator(_AT_ONCE):
        batch.append(record)
        if len(batch) == _AT_ONCE:
            yield from _verify_batch(batch, kind)
            batch = []
    yield from _verify_batch(batch, kind)


def _verify_batch(records: list[LogRecord], kind: str) -> Iterator[Problem]:
    events = {
        event.object_id: event
        for event in Event.objects.filter(
            object_type=kind,
            object_id__in=[str(record.id) for record in records],
            name=event_name(kind),
        )
    }
    for record in records:
        fault = _fault(record, events.get(str(record.id)))
        if fault:
            yield Problem("erasures", f"{kind} {record.id}", fault)


def _fault(record: LogRecord, event: Event | None) -> str | None:
    if event is None:
        return "its content is gone, and no event says that it was erased"
    left = [name for name in PAYLOAD[type(record)] if getattr(record, name) is not None]
    if record.salt is not None or left:
        return f"event {event.number} says that it was erased, but it has content"
    if event.data is not None and json.loads(event.data).get("kept") != kept_hash(record):
        return f"what is left of it is not what event {event.number} left"
    return None


def _verify_events(model: type[Any], kind: str) -> Iterator[Problem]:
    """Records that an event erased and that have their content again; `_fault` sees the rest."""
    events = Event.objects.filter(object_type=kind, name=event_name(kind)).order_by("number")
    batch: list[str] = []
    for event in events.iterator(_AT_ONCE):
        batch.append(event.object_id)
        if len(batch) == _AT_ONCE:
            yield from _verify_restored(model, kind, batch)
            batch = []
    yield from _verify_restored(model, kind, batch)


def _verify_restored(model: type[Any], kind: str, ids: list[str]) -> Iterator[Problem]:
    back = model.objects.filter(id__in=ids, salt__isnull=False, erased_at=None)
    for identifier in back.values_list("id", flat=True):
        text = "an event says that it was erased, but it has content"
        yield Problem("erasures", f"{kind} {identifier}", text)

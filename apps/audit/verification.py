"""Checks the event chain and the signed checkpoints, and names what does not hold."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.conf import settings

from apps.audit import checkpoints
from apps.audit.chain import GENESIS, Problem, link_hash
from apps.audit.models import Checkpoint, Event, EventHead, Seal
from apps.audit.services import content
from apps.core.canonical import digest

Tick = Callable[[str, int], None]
_EVENTS_AT_ONCE = 2000


def uncounted(part: str, count: int) -> None:
    """What a check calls after some more things, for those who do not listen."""


def verify_events(tick: Tick = uncounted) -> Iterator[Problem]:
    """Walks all events in order: numbers without gap, digests, links, and the recorded head.

    The head is read before and after the walk, so that events which come in between are no fault.
    """
    head = EventHead.objects.filter(id=1).first()
    number, previous = 0, GENESIS
    for event in _in_order(tick):
        place = f"event {event.number} ({event.name}, {event.id})"
        if event.number != number + 1:
            missing = f"{number + 1}" if event.number == number + 2 else f"{number + 1} to "
            if event.number != number + 2:
                missing += f"{event.number - 1}"
            yield Problem("events", place, f"event {missing} before it is missing")
        elif bytes(event.previous_hash) != previous:
            yield Problem("events", place, "it does not follow the event before it")
        for text in _own_faults(event):
            yield Problem("events", place, text)
        number, previous = event.number, bytes(event.hash)
    yield from _verify_head(head, number, previous)


def _own_faults(event: Event) -> Iterator[str]:
    if event.salt is not None and digest(bytes(event.salt), content(event)) != bytes(event.digest):
        yield "its content is not what was recorded"
    if link_hash(bytes(event.previous_hash), bytes(event.digest)) != bytes(event.hash):
        yield "its hash does not match its digest"


def event_faults(events: Sequence[Event]) -> dict[int, str]:
    """By number, why single events are not what was recorded, or not where: each is held against
    its neighbours in the chain, which is not walked."""
    if not events:
        return {}
    around = {event.number + step for event in events for step in (-1, 1)}
    beside = {each.number: each for each in Event.objects.filter(number__in=around)}
    head = EventHead.objects.filter(id=1).first()
    found = {event.number: _fault_among(event, beside, head) for event in events}
    return {number: text for number, text in found.items() if text}


def _fault_among(event: Event, beside: dict[int, Event], head: EventHead | None) -> str:
    before, after = beside.get(event.number - 1), beside.get(event.number + 1)
    previous = bytes(before.hash) if before else GENESIS
    if text := next(_own_faults(event), ""):
        return text
    if bytes(event.previous_hash) != previous or (before is None and event.number != 1):
        return "it does not follow the event before it"
    if after is not None and bytes(after.previous_hash) != bytes(event.hash):
        return "the event after it does not follow it"
    if head is not None and head.number == event.number and bytes(head.hash) != bytes(event.hash):
        return "it is not the one that was recorded last"
    return ""


def _in_order(tick: Tick) -> Iterator[Event]:
    """All events by number, some at a time; holds no cursor open."""
    number = -1
    while events := list(
        Event.objects.filter(number__gt=number).order_by("number")[:_EVENTS_AT_ONCE]
    ):
        yield from events
        number = events[-1].number
        tick("events", len(events))


def _verify_head(before: EventHead | None, number: int, last: bytes) -> Iterator[Problem]:
    now = EventHead.objects.filter(id=1).first()
    if now is None:
        if number:
            yield Problem("events", f"event {number}", "nothing says which event was the last")
        return
    if before and number < before.number:
        text = f"the chain ends at event {number}, but event {before.number} was recorded last"
        yield Problem("events", f"event {number}", f"{text}: the tail was cut")
    elif number > now.number:
        text = f"it stands behind event {now.number}, which was recorded last"
        yield Problem("events", f"event {number}", text)
    elif number == now.number and last != bytes(now.hash):
        yield Problem("events", f"event {number}", "it is not the one that was recorded last")


def verify_checkpoints(tick: Tick = uncounted) -> Iterator[Problem]:
    """Checks each signature, the copies on disk, and that the chains still hold what was bound."""
    contents = {
        str(identifier): hashlib.sha256(text.encode()).digest()
        for identifier, text in Checkpoint.objects.values_list("id", "content").iterator(500)
    }
    for checkpoint in Checkpoint.objects.order_by("at").iterator(500):
        tick("checkpoints", 1)
        place = f"checkpoint of {checkpoint.at:%Y-%m-%d %H:%M:%S} ({checkpoint.id})"
        if not checkpoints.signature_holds(checkpoint):
            yield Problem("checkpoints", place, "its signature does not match its content")
            continue
        yield from _bound_heads(json.loads(checkpoint.content), place)
    for path in sorted((settings.VAR_DIR / "checkpoints").glob("*.json")):
        copy = json.loads(path.read_text())
        place = f"checkpoint file {path.name}"
        if not checkpoints.copy_holds(copy):
            yield Problem("checkpoints", place, "its signature does not match its content")
        elif copy["id"] not in contents:
            yield Problem("checkpoints", place, "the database no longer has this checkpoint")
            yield from _bound_heads(json.loads(copy["content"]), place)
        elif contents[copy["id"]] != hashlib.sha256(copy["content"].encode()).digest():
            yield Problem("checkpoints", place, "the database has another content for it")


def _bound_heads(content: dict[str, Any], place: str) -> Iterator[Problem]:
    bound = content["events"]
    if bound["number"]:
        event = Event.objects.filter(number=bound["number"]).first()
        if event is None:
            yield Problem("checkpoints", place, f"event {bound['number']} is gone")
        elif bytes(event.hash).hex() != bound["hash"]:
            yield Problem("checkpoints", place, f"event {bound['number']} is another one")
    for head in content["writers"]:
        if not head["number"]:
            continue
        seal = Seal.objects.filter(writer_id=head["writer"], number=head["number"]).first()
        name = f"seal {head['number']} of writer {head['writer']}"
        if seal is None:
            yield Problem("checkpoints", place, f"{name} is gone")
        elif bytes(seal.hash).hex() != head["hash"]:
            yield Problem("checkpoints", place, f"{name} is another one")

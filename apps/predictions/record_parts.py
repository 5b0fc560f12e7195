"""What the layers above add to the record: things of which each is bound by an event.

RECORD_PARTS names them by dotted paths. `verify` walks them, bundles hold them, and the page of a
prediction checks those of that prediction.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from apps.audit.chain import Problem
from apps.audit.models import Event
from apps.audit.verification import Tick

BROKEN_EVENT = "the event that binds it is broken: "
_AT_ONCE = 1_000
Lines = Iterator[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Span:
    """What a bundle holds: things of these deployments (None: of all) whose event it shows."""

    deployments: frozenset[UUID] | None
    first: int
    last: int
    is_shown: Callable[[Event], bool]

    def within(self, found: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the deployments."""
        if self.deployments is None:
            return found
        return found.filter(deployment__in=self.deployments)

    def holds(self, event: Event | None) -> bool:
        """Whether the bundle shows the event; what no event speaks of is held, so that it is
        found."""
        if event is None:
            return True
        return self.first <= event.number <= self.last and self.is_shown(event)


@dataclass(frozen=True, slots=True)
class Beside:
    """One thing that was added to a prediction: what it is, since when, and why it does not hold;
    empty where it does."""

    says: str
    at: datetime
    fault: str


@dataclass(frozen=True, slots=True)
class RecordPart:
    """One kind of such things: its name in files and figures, their number, the check of all of
    them, their lines in a bundle, and those of one prediction, checked now."""

    name: str
    count: Callable[[], int]
    check: Callable[[Tick], Iterator[Problem]]
    lines: Callable[[Span], Lines]
    beside: Callable[[UUID], list[Beside]]


def record_parts() -> list[RecordPart]:
    return [import_string(path) for path in settings.RECORD_PARTS]


def added_to(prediction: UUID) -> list[Beside]:
    """What was added to one prediction, oldest first, each thing checked now."""
    found = [beside for part in record_parts() for beside in part.beside(prediction)]
    return sorted(found, key=lambda beside: beside.at)


def in_order(found: QuerySet[Any]) -> Iterator[list[Any]]:
    """In the order in which they were made, some at a time; holds no cursor open."""
    after = UUID(int=0)
    while rows := list(found.filter(pk__gt=after).order_by("pk")[:_AT_ONCE]):
        yield rows
        after = rows[-1].pk


def line_of(row: Any, content: dict[str, Any]) -> dict[str, Any]:
    """A thing with a salted digest, as bundles hold it; an erased one has no salt."""
    return {
        "id": str(row.id),
        "digest": bytes(row.digest).hex(),
        "salt": bytes(row.salt).hex() if row.salt is not None else None,
        "content": content,
    }

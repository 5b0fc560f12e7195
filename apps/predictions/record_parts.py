"""What the layers above add to the record: things of which each is bound by an event.

RECORD_PARTS names them by dotted paths. `verify` walks them, and bundles hold those with lines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from apps.audit.chain import Problem
from apps.audit.models import Event
from apps.audit.verification import Tick


@dataclass(frozen=True, slots=True)
class Span:
    """What a bundle holds: things of these deployments (None: of all) whose event it shows."""

    deployments: frozenset[UUID] | None
    first: int
    last: int
    is_shown: Callable[[Event], bool]

    def holds(self, event: Event) -> bool:
        return self.first <= event.number <= self.last and self.is_shown(event)


@dataclass(frozen=True, slots=True)
class RecordPart:
    """One kind of such things: its name in files and figures, their number, the check of all of
    them, and their lines in a bundle; None where bundles do not hold them."""

    name: str
    count: Callable[[], int]
    check: Callable[[Tick], Iterator[Problem]]
    lines: Callable[[Span], Iterator[list[dict[str, Any]]]] | None = None


def record_parts() -> list[RecordPart]:
    return [import_string(path) for path in settings.RECORD_PARTS]


def bundled_parts() -> list[tuple[str, Callable[[Span], Iterator[list[dict[str, Any]]]]]]:
    """Name and lines of those that bundles hold."""
    return [(part.name, part.lines) for part in record_parts() if part.lines]

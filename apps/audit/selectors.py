"""Reads the event log by number: newest first, a page at a time, never by offset."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from apps.audit.models import Checkpoint, Event, EventHead, Verification, Writer

PAGE_ROWS = 50
CHECKPOINT_LATE_AFTER = timedelta(hours=2)
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Events newest first; `older` and `newer` are the numbers to go on from, None at an end."""

    rows: list[Event]
    older: int | None
    newer: int | None


def events(
    *,
    workspace: UUID | None = None,
    name: str = "",
    actor: str = "",
    actor_kind: str = "",
    object_type: str = "",
    object_id: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    text: str = "",
) -> QuerySet[Event]:
    """The events of a workspace, or of the whole organisation where None is given.

    `name` is a whole name, or a family with its dot (`deployment.`); `actor` an id or a part of a
    name; `text` a part of a name, of an object's name or of the data.
    """
    found = (
        Event.objects.all() if workspace is None else Event.objects.filter(workspace_id=workspace)
    )
    if name:
        found = (
            found.filter(name__startswith=name) if name.endswith(".") else found.filter(name=name)
        )
    if actor:
        found = found.filter(Q(actor_id=actor) | Q(actor_name__icontains=actor))
    for field, value in (
        ("actor_kind", actor_kind),
        ("object_type", object_type),
        ("object_id", object_id),
    ):
        if value:
            found = found.filter(**{field: value})
    if start is not None:
        found = found.filter(at__gte=start)
    if end is not None:
        found = found.filter(at__lt=end)
    if text:
        found = found.filter(
            Q(name__icontains=text)
            | Q(object_name__icontains=text)
            | Q(object_id=text)
            | Q(data__icontains=text)
        )
    return found


def page(
    found: QuerySet[Event],
    *,
    before: int | None = None,
    after: int | None = None,
    rows: int = PAGE_ROWS,
) -> Page:
    """The newest events, those before a number, or those after one."""
    if after is not None:
        newer = list(found.filter(number__gt=after).order_by("number")[: rows + 1])
        shown = newer[:rows][::-1]
        return Page(
            shown,
            shown[-1].number if shown else None,
            shown[0].number if len(newer) > rows else None,
        )
    if before is not None:
        found = found.filter(number__lt=before)
    older = list(found.order_by("-number")[: rows + 1])
    shown = older[:rows]
    return Page(
        shown,
        shown[-1].number if len(older) > rows else None,
        shown[0].number if before is not None and shown else None,
    )


def in_chunks(found: QuerySet[Event], *, rows: int = _ROWS_AT_ONCE) -> Iterator[list[Event]]:
    """All events newest first, some at a time; holds no cursor and no transaction open."""
    before: int | None = None
    while True:
        wanted = found if before is None else found.filter(number__lt=before)
        chunk = list(wanted.order_by("-number")[:rows])
        if not chunk:
            return
        yield chunk
        before = chunk[-1].number


@dataclass(frozen=True, slots=True)
class ChainState:
    """What the chains hold, the last checkpoint, and the last verification that came to an end."""

    events: int
    seals: int
    writers: int
    checkpoint: Checkpoint | None
    is_late: bool
    verification: Verification | None

    @property
    def word(self) -> tuple[str, str]:
        """Kind and word of the state for people: a finding outweighs a missing checkpoint."""
        if self.verification and self.verification.state == Verification.State.BROKEN:
            return "bad", "Not intact"
        if self.is_late:
            return "warn", "Checkpoint overdue" if self.checkpoint else "No checkpoint yet"
        if self.verification is None:
            return "none", "Never verified"
        return "good", "Intact"


def chain_state(*, now: datetime) -> ChainState:
    """In four queries, however long the chains are."""
    totals = Writer.objects.aggregate(writers=Count("id"), seals=Sum("number"))
    checkpoint = Checkpoint.objects.order_by("-at").first()
    head = EventHead.objects.filter(id=1).first()
    done = (Verification.State.INTACT, Verification.State.BROKEN)
    return ChainState(
        events=head.number if head else 0,
        seals=totals["seals"] or 0,
        writers=totals["writers"],
        checkpoint=checkpoint,
        is_late=checkpoint is None or now - checkpoint.at > CHECKPOINT_LATE_AFTER,
        verification=Verification.objects.filter(state__in=done).first(),
    )


def object_types(workspace: UUID | None) -> list[str]:
    """The kinds of things that the events of a workspace tell of."""
    found = (
        Event.objects.all() if workspace is None else Event.objects.filter(workspace_id=workspace)
    )
    return list(found.order_by("object_type").values_list("object_type", flat=True).distinct())

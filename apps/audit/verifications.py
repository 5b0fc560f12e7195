"""The life of a verification: asked for, claimed once, seen to go on, finished with its event."""

from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.audit import services
from apps.audit.actor import Actor
from apps.audit.chain import Problem
from apps.audit.models import Verification
from apps.core.errors import Conflict

SILENT_AFTER = timedelta(minutes=5)
_OPEN = (Verification.State.WAITING, Verification.State.RUNNING)


@transaction.atomic
def ask(*, by: Actor, now: datetime) -> Verification:
    """A new verification that waits to be run. Raises Conflict while another one goes on."""
    give_up_silent(now=now)
    if Verification.objects.filter(state__in=_OPEN).exists():
        raise Conflict("The record is being checked already; wait until that is done.")
    return Verification.objects.create(
        actor_kind=by.kind, actor_id=by.id, actor_name=by.name[:200], seen_at=now
    )


def begin(*, by: Actor, now: datetime) -> Verification:
    """A verification that runs at once, beside whatever else runs."""
    return Verification.objects.create(
        state=Verification.State.RUNNING,
        actor_kind=by.kind,
        actor_id=by.id,
        actor_name=by.name[:200],
        started_at=now,
        seen_at=now,
    )


def claim(*, identifier: UUID, now: datetime) -> Verification | None:
    """The verification, if it still waits; None to whoever comes second."""
    waiting = Verification.objects.filter(id=identifier, state=Verification.State.WAITING)
    state = Verification.State.RUNNING
    if waiting.update(state=state, started_at=now, seen_at=now) != 1:
        return None
    return Verification.objects.get(id=identifier)


def note(*, verification: Verification, now: datetime) -> None:
    """Writes how far it is."""
    verification.seen_at = now
    verification.save(
        update_fields=[
            *("seen_at", "part", "done", "expected"),
            *("events", "seals", "records", "checkpoints", "parts"),
        ]
    )


@transaction.atomic
def finish(
    *, verification: Verification, problems: list[Problem], count: int, now: datetime
) -> None:
    """Stores what was found, of `count` problems the first ones, and records the event."""
    state = Verification.State.BROKEN if count else Verification.State.INTACT
    verification.state = state
    verification.finished_at = verification.seen_at = now
    verification.problems = [asdict(problem) for problem in problems]
    verification.problem_count = count
    verification.save()
    services.record(
        name="verification.finished",
        by=Actor(verification.actor_kind, verification.actor_id, verification.actor_name),  # type: ignore[arg-type]
        object_type="verification",
        object_id=verification.id,
        object_name=f"Verification of {verification.created_at:%Y-%m-%d %H:%M} UTC",
        data={
            "outcome": "intact" if not count else f"not intact, {problems[0]}",
            "problems": count,
            "events": verification.events,
            "seals": verification.seals,
            "records": verification.records,
            "checkpoints": verification.checkpoints,
            **verification.parts,
        },
        at=now,
    )


def fail(*, verification: Verification, error: str, now: datetime) -> None:
    """It could not be brought to an end; that says nothing about the record."""
    verification.state = Verification.State.FAILED
    verification.finished_at, verification.error = now, error[:300]
    verification.save(update_fields=["state", "finished_at", "error"])


def give_up_silent(*, now: datetime) -> None:
    """Closes those whose process has not been heard of for a while."""
    Verification.objects.filter(state__in=_OPEN, seen_at__lt=now - SILENT_AFTER).update(
        state=Verification.State.FAILED,
        finished_at=now,
        error="Its process went silent: no worker runs, or it was stopped. Verify again.",
    )

"""Runs a verification of the whole record, and keeps its row up to date while it goes on."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from apps.audit import verifications
from apps.audit.chain import Problem
from apps.audit.models import Checkpoint, EventHead, Seal, Verification
from apps.audit.verification import Tick, verify_checkpoints, verify_events
from apps.predictions.record_parts import record_parts
from apps.predictions.verification import verify_seals

TASK = "apps.predictions.checking.verify"
TASK_SECONDS = 6 * 60 * 60
_KEPT_PROBLEMS = 100
_NOTED_EVERY_SECONDS = 1.0
_COUNTED = ("events", "seals", "records", "checkpoints")

Listener = Callable[[Verification], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the check: what it counts, how much is expected, and the check itself."""

    name: str
    expected: int
    check: Callable[[Tick], Iterator[Problem]]


@dataclass(slots=True)
class Outcome:
    """The first problems, and the number of all."""

    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, problem: Problem) -> None:
        self.count += 1
        if len(self.problems) < _KEPT_PROBLEMS:
            self.problems.append(problem)


def verify(identifier: str) -> None:
    """The task: runs a verification that waits. A second delivery of it does nothing."""
    claimed = verifications.claim(identifier=UUID(identifier), now=timezone.now())
    if claimed is not None:
        run(claimed, lambda verification: None)


def run(verification: Verification, listen: Listener) -> Outcome:
    """Checks everything in bounded memory; `listen` hears about once a second how far it is."""
    outcome = Outcome()
    progress = _Progress(verification, listen)
    try:
        for part in _parts():
            progress.begin(part)
            for problem in part.check(progress.tick):
                outcome.add(problem)
            progress.tell()
    except Exception as error:
        text = f"It broke off: {type(error).__name__}."
        verifications.fail(verification=verification, error=text, now=timezone.now())
        raise
    verifications.finish(
        verification=verification,
        problems=outcome.problems,
        count=outcome.count,
        now=timezone.now(),
    )
    return outcome


@dataclass(slots=True)
class _Progress:
    """Counts what was checked, and writes it down now and then."""

    verification: Verification
    listen: Listener
    told_at: float = 0.0

    def begin(self, part: Part) -> None:
        self.verification.part = part.name
        self.verification.done, self.verification.expected = 0, part.expected
        self.tell()

    def tick(self, kind: str, count: int) -> None:
        if kind in _COUNTED:
            setattr(self.verification, kind, getattr(self.verification, kind) + count)
        else:
            parts = self.verification.parts
            parts[kind] = parts.get(kind, 0) + count
        if kind == self.verification.part:
            self.verification.done += count
        if time.monotonic() - self.told_at >= _NOTED_EVERY_SECONDS:
            self.tell()

    def tell(self) -> None:
        self.told_at = time.monotonic()
        verifications.note(verification=self.verification, now=timezone.now())
        self.listen(self.verification)


def _parts() -> list[Part]:
    head = EventHead.objects.filter(id=1).first()
    records = Seal.objects.aggregate(total=Sum("count"))["total"] or 0
    return [
        Part("events", head.number if head else 0, verify_events),
        Part("records", records, verify_seals),
        *(Part(each.name, each.count(), each.check) for each in record_parts()),
        Part("checkpoints", Checkpoint.objects.count(), verify_checkpoints),
    ]

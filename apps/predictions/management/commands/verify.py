"""`manage.py verify`: is the record intact? Exit code 1 where it is not."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.audit import verifications
from apps.audit.actor import SYSTEM
from apps.audit.models import Verification
from apps.predictions.checking import run

_MOST_SHOWN = 20
_SPOKEN_EVERY_SECONDS = 5.0


class Command(BaseCommand):
    """Checks the event chain, the seals with their records, and the checkpoints."""

    help = "Checks that no event and no logged record was changed, moved or removed."

    def handle(self, *args: Any, **options: Any) -> None:
        self.spoke_at = time.monotonic()
        begun = verifications.begin(by=SYSTEM, now=timezone.now())
        started = time.monotonic()
        outcome = run(begun, self._say)
        for problem in outcome.problems[:_MOST_SHOWN]:
            self.stderr.write(f"  {problem}")
        found = outcome.count
        self.stdout.write(
            f"{begun.events:,} events, {begun.seals:,} seals with {begun.records:,} "
            f"records, {begun.checkpoints:,} checkpoints"
            + "".join(f", {count:,} {name}" for name, count in begun.parts.items())
            + ": "
            + ("intact" if not found else f"{found:,} problem{'s' * (found != 1)}")
            + f" ({time.monotonic() - started:.1f} s)"
        )
        if found:
            text = f"The record is not intact. The first broken link: {outcome.problems[0]}"
            raise CommandError(text)

    def _say(self, verification: Verification) -> None:
        if time.monotonic() - self.spoke_at < _SPOKEN_EVERY_SECONDS:
            return
        self.spoke_at = time.monotonic()
        done, expected = verification.done, verification.expected
        self.stdout.write(f"  {verification.part}: {done:,} of {expected:,}")

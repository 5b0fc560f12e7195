"""Why a case is looked at, and how early. Pure functions.

Requests of people come first. All else mixes, from 1 to 2: rules in the middle, the uncertain and
the new by how much they are so, and what only the audit slice drew by chance, so that what is
reached of the slice is a fair part of it whoever runs out of time.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.feedback.review.wording import percent

REQUESTED = 3.0
BY_RULE = 1.5
_STEPS = 2**64


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason, in words; `priority` is how early it wants the case."""

    kind: str
    words: str
    priority: float

    @property
    def row(self) -> dict[str, Any]:
        return {"kind": self.kind, "words": self.words}


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one queue: each is a hash under its key, the same whenever it is repeated, and
    unforeseeable to whoever has not the key."""

    key: bytes

    def place(self, purpose: str, prediction: UUID) -> float:
        """A number from 0 to below 1, which differs by purpose."""
        content = purpose.encode() + prediction.bytes
        digest = hmac.digest(self.key, content, hashlib.sha256)
        return (int.from_bytes(digest[:8]) >> 11) / (_STEPS >> 11)

    def takes(self, purpose: str, prediction: UUID, share: float) -> bool:
        return self.place(purpose, prediction) < share


@dataclass(frozen=True, slots=True)
class Entry:
    """A prediction that enters a queue, with the chance that it had."""

    prediction_id: UUID
    causes: tuple[Cause, ...]
    is_certain: bool
    is_drawn: bool
    probability: float
    priority: float
    wanted: int


@dataclass(frozen=True, slots=True)
class Chances:
    """What a queue leaves to chance."""

    audit: float
    double: float
    draws: Draws

    def entry(self, prediction: UUID, causes: Sequence[Cause]) -> Entry | None:
        """The case of a prediction; None where nothing takes it."""
        is_drawn = self.draws.takes("audit", prediction, self.audit)
        if not causes and not is_drawn:
            return None
        found = list(causes)
        if is_drawn:
            words = f"Drawn at random, as {percent(self.audit)} of all are"
            found.append(Cause("audit", words, 1 + self.draws.place("order", prediction)))
        return Entry(
            prediction_id=prediction,
            causes=tuple(found),
            is_certain=bool(causes),
            is_drawn=is_drawn,
            probability=1.0 if causes else self.audit,
            priority=max(each.priority for each in found),
            wanted=2 if self.draws.takes("double", prediction, self.double) else 1,
        )

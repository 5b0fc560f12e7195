"""A warning of rubber stamps: a reviewer who is fast and agrees, both beyond what others do.

Neither speaks alone: an expert is fast, and a good model is agreed with. Compare reviewers of the
same queue in assisted mode, on cases that it gave out without regard to the person; and seeded
cases, whose shown output is known to be wrong, which tell most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from apps.feedback.statistics.proportions import Share, wilson

FEWEST_CASES = 30
FEWEST_PEERS = 2
FAST = 0.5
SURPRISE = 0.01
FEW_FOUND = 0.5


@dataclass(frozen=True)
class Reviewing:
    """What one reviewer did: seconds and whether the answer agreed with the model, case by case;
    of the seeded cases, which are not among these, how many were given and found wrong."""

    reviewer: str
    seconds: tuple[float, ...]
    agreed: tuple[bool, ...]
    seeded: int = 0
    seeded_found: int = 0


@dataclass(frozen=True)
class Pace:
    """Speed and agreement of one reviewer against the others.

    `p_value` is the chance of so much agreement if the reviewer agreed as the others do; None
    where `reasons` says that there are too few cases or peers to compare.
    """

    reviewer: str
    n: int
    median_seconds: float | None
    peer_median_seconds: float | None
    agreement: Share
    peer_agreement: Share
    p_value: float | None
    seeded_found: Share
    is_fast: bool
    is_agreeing: bool
    misses_seeded: bool
    reasons: tuple[str, ...]

    @property
    def is_suspicious(self) -> bool:
        """Whether to warn: fast and agreeing at once."""
        return self.is_fast and self.is_agreeing


def paces(reviewers: Sequence[Reviewing]) -> list[Pace]:
    """Each reviewer against all others, in the order given.

    Fast is a median below half of the median of the others' medians, so that no busy peer sets
    it. Agreeing is Fisher's exact test (Fisher 1935, JRSS 98, 39-82; the binomial test where also
    the others' share is uncertain), one-sided at 1 % over all reviewers compared (Bonferroni).
    """
    compared = [each for each in reviewers if len(each.agreed) >= FEWEST_CASES]
    level = SURPRISE / max(1, len(compared))
    return [
        _pace(each, [other for other in compared if other is not each], level) for each in reviewers
    ]


def more_agreement(agreed: int, n: int, others_agreed: int, others: int) -> float:
    """The probability that of all `agreed` + `others_agreed` agreements at least `agreed` fall on
    these `n` cases by chance: the one-sided p-value of Fisher's exact test."""
    total = agreed + others_agreed
    counts = np.arange(agreed, min(n, total) + 1)
    ways = _log_ways(n, counts) + _log_ways(others, total - counts)
    return min(1.0, float(np.exp(ways - _log_ways(n + others, np.array(total))).sum()))


def _log_ways(n: int, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logarithm of the number of ways to choose so many of n."""
    found = gammaln(n + 1) - gammaln(chosen + 1) - gammaln(n - chosen + 1)
    return np.asarray(found, dtype=np.float64)


def _pace(one: Reviewing, peers: Sequence[Reviewing], level: float) -> Pace:
    if not len(one.seconds) == len(one.agreed):
        raise ValueError("There are seconds and an answer for each case.")
    n, agreed = len(one.agreed), sum(one.agreed)
    others = sum(len(peer.agreed) for peer in peers)
    others_agreed = sum(sum(peer.agreed) for peer in peers)
    found = wilson(one.seeded_found, one.seeded)
    median = float(np.median(one.seconds)) if n else None
    usual = float(np.median([np.median(peer.seconds) for peer in peers])) if peers else None
    missing = _too_little(n, len(peers))
    p_value, is_fast = None, False
    if not missing and median is not None and usual is not None:
        p_value = more_agreement(agreed, n, others_agreed, others)
        is_fast = median < FAST * usual
    pace = Pace(
        reviewer=one.reviewer,
        n=n,
        median_seconds=median,
        peer_median_seconds=usual,
        agreement=wilson(agreed, n),
        peer_agreement=wilson(others_agreed, others),
        p_value=p_value,
        seeded_found=found,
        is_fast=is_fast,
        is_agreeing=p_value is not None and p_value < level,
        misses_seeded=found.value is not None and found.high < FEW_FOUND,
        reasons=(),
    )
    return replace(pace, reasons=missing or _reasons(pace))


def _too_little(n: int, peers: int) -> tuple[str, ...]:
    found = []
    if n < FEWEST_CASES:
        found.append(f"Too few cases to compare: {n}, and {FEWEST_CASES} are needed.")
    if peers < FEWEST_PEERS:
        found.append(
            f"Too few others to compare with: {peers} with {FEWEST_CASES} cases or more, "
            f"and {FEWEST_PEERS} are needed."
        )
    return tuple(found)


def _reasons(pace: Pace) -> tuple[str, ...]:
    """What is out of the ordinary, in words."""
    found = []
    if pace.is_fast and pace.median_seconds is not None and pace.peer_median_seconds is not None:
        found.append(
            f"Half of the cases took under {_seconds(pace.median_seconds)}; "
            f"with the others it is {_seconds(pace.peer_median_seconds)}."
        )
    if pace.is_agreeing and pace.peer_agreement.value is not None:
        found.append(
            f"Agreed with the model in {pace.agreement.count} of {pace.n} cases; "
            f"the others agreed in {100 * pace.peer_agreement.value:.0f} % of theirs, "
            "more of a difference than chance gives."
        )
    if pace.misses_seeded:
        seeded = pace.seeded_found
        found.append(f"Found {seeded.count} of {seeded.n} cases whose shown output was wrong.")
    return tuple(found)


def _seconds(value: float) -> str:
    return f"{value:.1f} seconds" if value < 10 else f"{value:,.0f} seconds"

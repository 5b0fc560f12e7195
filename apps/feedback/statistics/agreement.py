"""Agreement between reviewers, beyond what chance would give.

All of it describes the cases that several reviewers judged, not the stream.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from apps.feedback.statistics.classes import places_of
from apps.feedback.statistics.proportions import Share, wilson

Floats = NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]

_NONE = "No case has been judged by two reviewers yet."
_ONE = (
    "All judgements name one and the same class, so that agreement cannot be told from chance: "
    "see the share that agrees."
)


@dataclass(frozen=True)
class Kappa:
    """1 is full agreement, 0 that of chance; `value` is None where `reason` says why.

    `observed` and `expected` are the agreement there is and that of chance, as shares; `n` the
    cases judged at least twice, `left_out` those judged once. Standard error and interval are
    None where the cases show no spread to take them from: a single one, or full agreement.
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    observed: float | None
    expected: float | None
    n: int
    left_out: int = 0
    reason: str = ""


def percent_agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> Share:
    """The share of cases on which two reviewers gave the same class."""
    return wilson(sum(a == b for a, b in zip(first, second, strict=True)), len(first))


def cohen_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    classes: Sequence[Hashable],
    weights: Weights = "none",
    confidence: float = 0.95,
) -> Kappa:
    """Two reviewers on the same cases.

    Cohen 1960, Educational and Psychological Measurement 20, 37-46; weighted by the distance of
    classes, which `classes` gives in order, as Cohen 1968, Psychological Bulletin 70, 213-220;
    standard error of Fleiss, Cohen & Everitt 1969, Psychological Bulletin 72, 323-327.
    """
    one, other = places_of(first, classes), places_of(second, classes)
    if len(one) != len(other):
        raise ValueError(f"One reviewer judged {len(one)} cases, the other {len(other)}.")
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (one, other), 1)
    n = len(one)
    if not n:
        return Kappa(None, None, None, None, None, None, 0, reason=_NONE)
    shares, credit = table / n, _credit(len(classes), weights)
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed = float(np.sum(credit * shares))
    expected = float(rows @ credit @ columns)
    if math.isclose(expected, 1):
        return Kappa(None, None, None, None, observed, expected, n, reason=_ONE)
    value = (observed - expected) / (1 - expected)
    usual = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    spread = float(np.sum(shares * (credit - usual * (1 - value)) ** 2))
    spread -= (value - expected * (1 - value)) ** 2
    error = math.sqrt(max(spread, 0.0) / n) / (1 - expected)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return _kappa(value, error, half, (observed, expected), n, 0)


def fleiss_kappa(counts: ArrayLike, confidence: float = 0.95) -> Kappa:
    """Any number of reviewers, which may differ from case to case.

    `counts` has a row for each case and a column for each class: how many gave it. Fleiss 1971,
    Psychological Bulletin 76, 378-382; with cases judged by some alone as Gwet 2014, Handbook of
    Inter-Rater Reliability, 4th edition, with its standard error and Student's
    t: cases judged once say how often a class is given, and nothing about agreement.
    """
    given = np.asarray(counts, dtype=np.float64)
    judges = given.sum(axis=1) if given.size else np.zeros(0)
    given, judges = given[judges > 0], judges[judges > 0]
    several = judges >= 2
    cases, n = len(judges), int(several.sum())
    if not n:
        return Kappa(None, None, None, None, None, None, 0, cases, _NONE)
    shares = given / judges[:, None]
    usual = shares.mean(axis=0)
    pairs = np.where(several, judges * (judges - 1), 1)
    alike = np.sum(given * (given - 1), axis=1) / pairs
    observed, expected = float(alike[several].mean()), float(np.sum(usual**2))
    if math.isclose(expected, 1):
        return Kappa(None, None, None, None, observed, expected, n, cases - n, _ONE)
    value = (observed - expected) / (1 - expected)
    if cases < 2:
        return Kappa(value, None, None, None, observed, expected, n, cases - n)
    part = cases / n * (alike - expected * several) / (1 - expected)
    part -= 2 * (1 - value) * (shares @ usual - expected) / (1 - expected)
    error = math.sqrt(float(np.sum((part - value) ** 2)) / (cases * (cases - 1)))
    half = float(stdtrit(cases - 1, (1 + confidence) / 2)) * error
    return _kappa(value, error, half, (observed, expected), n, cases - n)


def _kappa(
    value: float, error: float, half: float, shares: tuple[float, float], n: int, left_out: int
) -> Kappa:
    if math.isclose(error, 0, abs_tol=1e-9):
        return Kappa(value, None, None, None, *shares, n, left_out)
    low, high = max(-1.0, value - half), min(1.0, value + half)
    return Kappa(value, low, high, error, *shares, n, left_out)


def _credit(size: int, weights: Weights) -> Floats:
    """How far two classes agree: 1 for the same, 0 for those at both ends."""
    places = np.arange(size)
    apart = np.abs(places[:, None] - places[None, :]) / max(size - 1, 1)
    if weights == "none":
        return np.eye(size)
    return np.asarray(1 - apart if weights == "linear" else 1 - apart**2, dtype=np.float64)

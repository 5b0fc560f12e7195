"""Shares with their intervals: of cases counted, and of a stream that a queue sampled.

A queue is no fair sample: what a rule or an uncertain answer selects is reviewed for certain, the
rest only where the random audit slice draws it. Every case has an inclusion probability, that of
being reviewed by any path; weighting by its inverse gives estimates for the whole stream (Horvitz
& Thompson 1952, JASA 47, 663-685; Hájek 1971 in Godambe & Sprott, Foundations of Statistical
Inference, 236; variances as in Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling,
2.8, 3.5 and 5.7). Every case is drawn by itself, which is Poisson sampling.

The selection by rule may look at anything but the judgement itself. A case that a rule selected
and that nobody has reached counts with the probability of the audit slice, which draws from all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """`count` of `n`, with its interval; `value` is None where `reason` says why."""

    count: int
    n: int
    value: float | None
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True)
class Estimate:
    """A mean of the whole stream from its reviewed cases.

    `effective_n` is the size of a fair sample that would be as certain, `design_effect` the
    number of reviewed cases that one of its cases costs; both None where the variance is zero.
    """

    value: float | None
    low: float | None
    high: float | None
    variance: float | None
    n: int
    effective_n: float | None = None
    design_effect: float | None = None
    reason: str = ""


_NOTHING = Estimate(None, None, None, None, 0, reason="No case has been reviewed yet.")
_MORE = "{} cases were reviewed of a stream of {}."


@dataclass(frozen=True)
class StreamShare:
    """A share of all cases of a stream, beside the plain share of its reviewed cases.

    `certain` and `sampled` are the numbers of cases reviewed for certain and by chance;
    `effective_n` and `design_effect` speak of the sampled ones.
    """

    value: float | None
    low: float
    high: float
    plain: Share
    population: int
    certain: int
    sampled: int
    effective_n: float | None
    design_effect: float | None
    reason: str = ""


def wilson(count: int, n: int, confidence: float = 0.95) -> Share:
    """A share of fairly drawn cases with the score interval, which holds for small counts.

    Wilson 1927, JASA 22, 209-212; recommended for small n by Brown, Cai & DasGupta 2001,
    Statistical Science 16, 101-133.
    """
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no share.")
    if not n:
        return Share(0, 0, None, 0.0, 1.0, "There is no case yet.")
    low, high = wilson_limits(count / n, n, confidence)
    return Share(count, n, count / n, low, high)


def wilson_limits(share: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """The limits of the score interval; `n` may be a fraction, as an effective size is."""
    if math.isinf(n):
        return share, share
    z2 = _z(confidence) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    low = 0.0 if share == 0 else max(0.0, middle - half)
    return low, 1.0 if share == 1 else min(1.0, middle + half)


def inclusion_probability(paths: Sequence[ArrayLike]) -> Floats:
    """The probability that a case is reviewed by any path, where each path draws by itself.

    `paths` has one array or number for each path: 1 where it takes the case for certain, 0 where
    it never does, else the probability of its draw.
    """
    missed = np.ones(1)
    for path in paths:
        given = np.asarray(path, dtype=np.float64)
        if not np.all((given >= 0) & (given <= 1)):
            raise ValueError("A probability of selection lies between 0 and 1.")
        missed = missed * (1 - given)
    return 1 - missed


def horvitz_thompson(
    values: ArrayLike, probability: ArrayLike, population: int, confidence: float = 0.95
) -> Estimate:
    """The mean over `population` cases; unbiased, and wide where the number drawn varies much."""
    given, chance = _sample(values, probability)
    if not len(given):
        return _NOTHING
    if population < len(given):
        raise ValueError(_MORE.format(len(given), population))
    mean = float(np.sum(given / chance)) / population
    variance = float(np.sum((1 - chance) * (given / chance) ** 2)) / population**2
    return _estimate(mean, variance, given, chance, confidence)


def hajek(values: ArrayLike, probability: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The mean as a ratio of weighted sums: for any number, and without the size of the stream.

    Biased by the order of 1/n. Its interval is a normal one: for shares see `stream_share`.
    """
    given, chance = _sample(values, probability)
    if not len(given):
        return _NOTHING
    weight = 1 / chance
    mean = float(np.average(given, weights=weight))
    variance = _ratio_variance(given, weight, mean)
    return _estimate(mean, variance, given, chance, confidence)


def stream_share(
    is_counted: ArrayLike, probability: ArrayLike, population: int, confidence: float = 0.95
) -> StreamShare:
    """The share of a stream's `population` cases that a review of all would count.

    `is_counted` and `probability` are of the reviewed cases alone. Those with probability 1 are
    counted as they are. The others stand for all the rest: their weights are scaled to its known
    number, which also makes up for drawn cases that nobody has reviewed yet, if these wait by
    chance. Their share is a Hájek ratio with the score interval on its effective size, as Franco,
    Little, Louis & Slud 2019, Journal of Survey Statistics and Methodology 7, 334-364, compare it.
    The interval speaks of these cases, not of later ones: it closes when all are reviewed.
    """
    given, chance = _sample(is_counted, probability)
    is_certain = chance >= 1
    certain, sampled = int(is_certain.sum()), int((~is_certain).sum())
    rest = population - certain
    if rest < sampled:
        raise ValueError(_MORE.format(len(given), population))
    plain = wilson(int(given.sum()), len(given), confidence)
    known = float(given[is_certain].sum())
    if not rest:
        return _whole(known, plain, population)
    if not sampled:
        low, high = known / population, (known + rest) / population
        reason = "No case of the random audit slice has been reviewed yet."
        return StreamShare(None, low, high, plain, population, certain, 0, None, None, reason)
    drawn, weight = given[~is_certain], 1 / chance[~is_certain]
    weight *= rest / weight.sum()
    share = float(np.average(drawn, weights=weight))
    size = _effective_size(drawn, weight, share)
    low, high = wilson_limits(share, size, confidence)
    value, low, high = ((known + rest * each) / population for each in (share, low, high))
    effect = None if math.isinf(size) else sampled / size
    finite = None if math.isinf(size) else size
    return StreamShare(value, low, high, plain, population, certain, sampled, finite, effect)


def _whole(known: float, plain: Share, population: int) -> StreamShare:
    if not population:
        return StreamShare(None, 0.0, 1.0, plain, 0, 0, 0, None, None, "There is no case yet.")
    share = known / population
    return StreamShare(share, share, share, plain, population, population, 0, None, None)


def _effective_size(given: Floats, weight: Floats, share: float) -> float:
    """The size of a fair sample with the variance of this one: of its judgements (Korn & Graubard
    1998, Survey Methodology 24, 193-201) or of its weights alone (Kish 1965), the smaller."""
    drawn = np.maximum(weight * (weight - 1), 0)
    if not drawn.any():
        return math.inf
    by_weight = float(weight.sum() ** 2 / drawn.sum())
    variance = _ratio_variance(given, weight, share)
    return min(by_weight, share * (1 - share) / variance) if variance else by_weight


def _ratio_variance(given: Floats, weight: Floats, mean: float) -> float:
    drawn = np.maximum(weight * (weight - 1), 0)
    return float(np.sum(drawn * (given - mean) ** 2) / weight.sum() ** 2)


def _estimate(
    mean: float, variance: float, given: Floats, chance: Floats, confidence: float
) -> Estimate:
    half = _z(confidence) * math.sqrt(variance)
    spread = float(np.average((given - mean) ** 2, weights=1 / chance)) if len(given) else 0.0
    size = spread / variance if variance and spread else None
    effect = len(given) / size if size else None
    return Estimate(mean, mean - half, mean + half, variance, len(given), size, effect)


def _sample(values: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    given = np.asarray(values, dtype=np.float64)
    chance = np.broadcast_to(np.asarray(probability, dtype=np.float64), given.shape)
    if not np.all(np.isfinite(given)):
        raise ValueError("A reviewed case has a value: leave out those without one.")
    if not np.all((chance > 0) & (chance <= 1)):
        raise ValueError("A reviewed case has an inclusion probability above 0 and at most 1.")
    return given, chance


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)

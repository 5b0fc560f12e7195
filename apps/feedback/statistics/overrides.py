"""Where people overrule the model: by class and by size of the prediction, blind and assisted,
and how long a case waits."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.feedback.statistics.proportions import Share, StreamShare, stream_share, wilson

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassShare:
    """The disagreement among reviewed cases with one predicted class; `stream` is that of all its
    cases, where their number is known."""

    name: Hashable
    share: Share
    stream: StreamShare | None


@dataclass(frozen=True)
class GroupShare:
    """The disagreement among predictions above `low` up to `high`; None is without a limit."""

    low: float | None
    high: float | None
    share: Share


@dataclass(frozen=True)
class Difference:
    """A share minus another; None where `reason` says why."""

    first: Share
    second: Share
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True)
class Revealed:
    """What people did when they saw the model's answer after their own.

    `differed` is the share whose blind answer was not the model's; of these `moved` took the
    model's; `left` is the share of those who agreed blind and then did not.
    """

    differed: Share
    moved: Share
    left: Share


@dataclass(frozen=True)
class Turnaround:
    """How long cases wait for their judgement, in seconds: a value for each of `shares`, None
    where fewer than this share can be known to be judged yet."""

    shares: tuple[float, ...]
    seconds: tuple[float | None, ...]
    judged: int
    waiting: int


def disagreement_by_class(
    predicted: Sequence[Hashable],
    disagreed: ArrayLike,
    probability: ArrayLike | None = None,
    population: Mapping[Any, int] | None = None,
) -> list[ClassShare]:
    """For each predicted class, in order of its name; with the inclusion probability of each case
    and the number of all predictions of each class also for the whole stream. A class in
    `population` that nobody reviewed stands with no case."""
    given = np.asarray(disagreed, dtype=np.float64)
    chance = None if probability is None else np.broadcast_to(probability, given.shape)
    found = []
    for name in sorted({*predicted, *(population or {})}, key=str):
        own = np.array([each == name for each in predicted], dtype=np.bool_)
        stream = None
        if chance is not None and population is not None and name in population:
            stream = stream_share(given[own], chance[own], population[name])
        found.append(ClassShare(name, wilson(int(given[own].sum()), int(own.sum())), stream))
    return found


def quantile_edges(predictions: ArrayLike, groups: int = 4) -> tuple[float, ...]:
    """The inner edges of groups of about equal size; fewer where values repeat. Take them from
    all predictions or from the reference, so that the groups are the same for every queue."""
    given = np.asarray(predictions, dtype=np.float64)
    if not len(given):
        return ()
    shares = np.arange(1, groups) / groups
    edges = np.unique(np.quantile(given, shares, method="inverted_cdf"))
    return tuple(float(edge) for edge in edges if edge < given.max())


def disagreement_by_size(
    predicted: ArrayLike, disagreed: ArrayLike, edges: Sequence[float]
) -> list[GroupShare]:
    """For each group of predicted numbers between `edges`, each of which belongs below."""
    numbers = np.asarray(predicted, dtype=np.float64)
    given = np.asarray(disagreed, dtype=np.bool_)
    groups = np.searchsorted(np.asarray(edges, dtype=np.float64), numbers, side="left")
    limits = [None, *edges, None]
    return [
        GroupShare(low, high, wilson(int(given[groups == k].sum()), int((groups == k).sum())))
        for k, (low, high) in enumerate(zip(limits, limits[1:], strict=False))
    ]


def difference(
    first: int, first_n: int, second: int, second_n: int, confidence: float = 0.95
) -> Difference:
    """The difference of two independent shares, such as agreement in blind and assisted mode on
    different cases, with the hybrid score interval: Newcombe 1998, Statistics in Medicine 17,
    873-890, method 10. Answers before and after on the same cases: see `revealed`."""
    one, other = wilson(first, first_n, confidence), wilson(second, second_n, confidence)
    if one.value is None or other.value is None:
        reason = "There is no case yet in one of the two groups."
        return Difference(one, other, None, None, None, reason)
    value = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Difference(one, other, value, value - below, value + above)


def revealed(
    blind: Sequence[Hashable], final: Sequence[Hashable], model: Sequence[Hashable]
) -> Revealed:
    """What the model's answer changed, case by case, where the blind answer came first."""
    cases = list(zip(blind, final, model, strict=True))
    apart = [final == model for blind, final, model in cases if blind != model]
    alike = [final != model for blind, final, model in cases if blind == model]
    return Revealed(
        differed=wilson(len(apart), len(cases)),
        moved=wilson(sum(apart), len(apart)),
        left=wilson(sum(alike), len(alike)),
    )


def turnaround(
    judged: ArrayLike, waiting: ArrayLike = (), shares: Sequence[float] = (0.5, 0.9, 0.99)
) -> Turnaround:
    """Quantiles of the time to judgement, from the times of cases judged and the times that the
    others have waited so far, so that what is left lying counts: the product-limit estimate of
    Kaplan & Meier 1958, JASA 53, 457-481."""
    done = np.sort(np.asarray(judged, dtype=np.float64))
    open_ = np.sort(np.asarray(waiting, dtype=np.float64))
    times, ended = np.unique(done, return_counts=True)
    at_risk = len(done) - np.searchsorted(done, times) + len(open_) - np.searchsorted(open_, times)
    still = np.cumprod(1 - ended / at_risk)
    seconds = tuple(_first(times, still <= 1 - share + 1e-12) for share in shares)
    return Turnaround(tuple(shares), seconds, len(done), len(open_))


def _first(times: Floats, reached: NDArray[np.bool_]) -> float | None:
    return float(times[reached.argmax()]) if reached.any() else None

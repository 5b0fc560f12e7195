"""Split conformal prediction: sets of classes and intervals that hold the truth as often as said.

From held-out cases with their actuals follows a threshold, such that a set covers the actual of a
new case with a probability of at least 1 - alpha, whatever the model (Vovk, Gammerman & Shafer
2005, Algorithmic Learning in a Random World, 4.1; Papadopoulos et al. 2002, ECML; Lei et al. 2018,
JASA 113, 1094-1111). This needs cases drawn as the new ones are: calibrate on the random audit
slice or on all cases of a time, never on what an uncertain answer or a rule selected.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.feedback.statistics.classes import places_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Method = Literal["lac", "aps"]


@dataclass(frozen=True)
class ClassCalibration:
    """Thresholds of the scores, in the order of `classes`; infinite where the calibration cases
    are too few to leave a class out. `counts` are these cases: all of them for every class, or
    those of the class."""

    classes: tuple[Hashable, ...]
    thresholds: tuple[float, ...]
    counts: tuple[int, ...]
    alpha: float
    method: Method
    is_per_class: bool

    def sets(self, probabilities: ArrayLike) -> Bools:
        """Which classes each row's set holds; columns in the order of `classes`."""
        given = _rows(probabilities, self.classes)
        if self.method == "lac":
            return np.asarray(1 - given <= np.array(self.thresholds), dtype=np.bool_)
        found = _mass(given) <= np.array(self.thresholds)
        found[np.arange(len(given)), given.argmax(axis=1)] = True
        return np.asarray(found, dtype=np.bool_)


@dataclass(frozen=True)
class NumberCalibration:
    """Half the width of every interval, in units of the case's difficulty where one was given;
    infinite where the calibration cases are too few."""

    half_width: float
    n: int
    alpha: float
    is_normalised: bool

    def intervals(
        self, predicted: ArrayLike, difficulty: ArrayLike | None = None
    ) -> tuple[Floats, Floats]:
        """The lower and upper limits."""
        middle = np.asarray(predicted, dtype=np.float64)
        if self.is_normalised != (difficulty is not None):
            raise ValueError("Calibration and prediction both have a difficulty, or neither has.")
        half = self.half_width * _difficulty(difficulty, middle)
        return middle - half, middle + half


def cases_needed(alpha: float) -> int:
    """The fewest calibration cases (of a class, where per class) with a finite threshold."""
    return math.ceil(1 / alpha - 1 - 1e-9)


def conformal_quantile(scores: ArrayLike, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest score, which is the quantile of level
    ceil((n + 1)(1 - alpha)) / n; infinite where there is none (Lei et al. 2018, section 2.2;
    Angelopoulos & Bates 2023, Foundations and Trends in Machine Learning 16, 494-591, 1.1)."""
    if not 0 < alpha < 1:
        raise ValueError("alpha lies between 0 and 1, without either.")
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if np.isnan(ordered).any():
        raise ValueError("A score is missing: leave cases without an actual out.")
    rank = math.ceil((len(ordered) + 1) * (1 - alpha) - 1e-9)
    return float(ordered[rank - 1]) if rank <= len(ordered) else math.inf


def calibrate_classes(
    probabilities: ArrayLike,
    actuals: Sequence[Hashable],
    classes: Sequence[Hashable],
    alpha: float,
    *,
    method: Method = "lac",
    per_class: bool = False,
) -> ClassCalibration:
    """Thresholds from held-out cases: a row of probabilities and an actual for each.

    `lac`, the smallest sets, takes 1 - probability of the actual (Sadinle, Lei & Wasserman 2019,
    JASA 114, 223-234). `aps`, which adapts to the case, takes the probability of all likelier
    classes and half that of the actual, and always holds the likeliest class (Romano, Sesia &
    Candès 2020, NeurIPS, with one half for their random share, so that a set can be reproduced).
    `per_class` promises 1 - alpha within each actual class (Mondrian: Vovk et al. 2005, 4.5).
    """
    given = _rows(probabilities, classes)
    actual = places_of(actuals, classes)
    if len(actual) != len(given):
        raise ValueError("There is one actual for each row of probabilities.")
    score = 1 - given if method == "lac" else _mass(given)
    own = score[np.arange(len(actual)), actual]
    groups = [own[actual == k] if per_class else own for k in range(len(classes))]
    return ClassCalibration(
        classes=tuple(classes),
        thresholds=tuple(conformal_quantile(each, alpha) for each in groups),
        counts=tuple(len(each) for each in groups),
        alpha=alpha,
        method=method,
        is_per_class=per_class,
    )


def calibrate_numbers(
    predicted: ArrayLike,
    actuals: ArrayLike,
    alpha: float,
    difficulty: ArrayLike | None = None,
) -> NumberCalibration:
    """The half width from held-out cases: of the absolute residuals, or of those divided by a
    positive `difficulty` of each case, so that hard cases get wide intervals (Papadopoulos,
    Vovk & Gammerman 2011, JAIR 40, 815-840; Lei et al. 2018, section 5.2)."""
    middle = np.asarray(predicted, dtype=np.float64)
    residuals = np.abs(np.asarray(actuals, dtype=np.float64) - middle)
    scores = residuals / _difficulty(difficulty, middle)
    half_width = conformal_quantile(scores, alpha)
    return NumberCalibration(half_width, len(scores), alpha, difficulty is not None)


def class_uncertainty(sets: Bools, probabilities: ArrayLike) -> Floats:
    """What orders a queue, the most uncertain highest: the size of the set, plus up to one half
    for a small margin between the two likeliest classes.

    An empty set counts as one of all classes: no class is likely enough to stand in it.
    """
    given = np.sort(_rows(probabilities, range(sets.shape[1])), axis=1)
    margin = given[:, -1] - given[:, -2]
    size = sets.sum(axis=1)
    size = np.where(size == 0, sets.shape[1], size)
    return np.asarray(size + (1 - np.clip(margin, 0, 1)) / 2, dtype=np.float64)


def number_uncertainty(low: ArrayLike, high: ArrayLike, threshold: float | None = None) -> Floats:
    """The width of the intervals; with a `threshold` at which the decision turns, how deep it
    lies within: positive where the interval holds it, the most uncertain highest."""
    lower, upper = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if threshold is None:
        return upper - lower
    return np.minimum(threshold - lower, upper - threshold)


def _mass(probabilities: Floats) -> Floats:
    """For every class the probability of those that are likelier, and half its own."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    mass = np.empty_like(probabilities)
    np.put_along_axis(mass, order, summed, axis=1)
    return np.asarray(mass - probabilities / 2, dtype=np.float64)


def _rows(probabilities: ArrayLike, classes: Sequence[Hashable]) -> Floats:
    given = np.asarray(probabilities, dtype=np.float64).reshape(-1, len(classes))
    if not np.all((given >= 0) & (given <= 1)):
        raise ValueError("Probabilities lie between 0 and 1.")
    return given


def _difficulty(difficulty: ArrayLike | None, like: Floats) -> Floats:
    if difficulty is None:
        return np.ones_like(like)
    given = np.asarray(difficulty, dtype=np.float64)
    if not np.all(given > 0):
        raise ValueError("A difficulty is a positive number.")
    return given

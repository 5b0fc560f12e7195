"""SHAP values of any model by asking it: exact up to ten features, by permutations beyond.

Štrumbelj, Kononenko, "Explaining prediction models and individual predictions with feature
contributions", KAIS 41 (2014); permutations in pairs of opposite order after Mitchell et al.,
"Sampling permutations for Shapley value estimation", JMLR 23 (2022). Both work on raw features,
so a category is one player, and on a generator of their own, so nothing else moves the answer.
"""

from math import factorial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.contributions import ContributionExplainer, Found, whole_number
from apps.serving.explainers.subject import Subject

_MOST_EXACT = 10
_CHUNK_ROWS = 8192


class SamplingExplainer(ContributionExplainer):
    """A feature outside a coalition takes the values of the background's rows, in turn.

    `backgroundRows` bounds how many of them; where there are more, the seed draws.
    """

    def fit(self, background: Background) -> None:
        super().fit(background)
        most = whole_number(self.settings, "backgroundRows", 1, 10_000)
        rows = len(background.frame)
        if rows == 0:
            raise BadRequest("The background has no rows")
        if rows > most:
            drawn = np.random.default_rng(self.seed).choice(rows, most, replace=False)
            self.reference = background.frame.iloc[np.sort(drawn)].reset_index(drop=True)
        else:
            self.reference = background.frame

    def contributions(
        self, subject: Subject, frame: pd.DataFrame, prepared: Any, budget: Budget
    ) -> Found:
        found = [self._row(subject, frame.iloc[[row]], budget) for row in range(len(frame))]
        values = np.array([each for each, _, _ in found])
        base = np.array([each for _, each, _ in found])
        return Found(values, base, [fidelity for _, _, fidelity in found])

    def _row(
        self, subject: Subject, row: pd.DataFrame, budget: Budget
    ) -> tuple[np.ndarray, float, dict[str, Any]]:
        raise NotImplementedError

    def worths(
        self, subject: Subject, row: pd.DataFrame, coalitions: np.ndarray, budget: Budget
    ) -> np.ndarray:
        """The mean score over the background of each coalition, (m, features) of truth values."""
        size = len(self.reference)
        step = max(1, _CHUNK_ROWS // size)
        found = []
        for start in range(0, len(coalitions), step):
            part = coalitions[start : start + step]
            budget.spend(len(part) * size)
            scores = subject.scores(self._mixed(row, part))
            found.append(scores.reshape(len(part), size).mean(axis=1))
        return np.concatenate(found)

    def _mixed(self, row: pd.DataFrame, coalitions: np.ndarray) -> pd.DataFrame:
        """Each coalition with each row of the background."""
        size = len(self.reference)
        columns: dict[int, Any] = {}
        for at, name in enumerate(self.subject.names):
            kept = np.repeat(coalitions[:, at], size)
            others = np.tile(self.reference[name].to_numpy(), len(coalitions))
            columns[at] = np.where(kept, row[name].iloc[0], others)
            if self.reference[name].dtype == object:
                columns[at] = pd.Series(columns[at], dtype=object)
        mixed = pd.DataFrame(columns)
        mixed.columns = row.columns
        return mixed


class ExactExplainer(SamplingExplainer):
    """All coalitions of at most ten features."""

    method: ClassVar[str] = "shap.exact"
    defaults: ClassVar[dict[str, Any]] = {"backgroundRows": 100}

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        count = len(subject.features)
        if 0 < count <= _MOST_EXACT:
            return ""
        return f"The model has {count} features; all coalitions are asked up to {_MOST_EXACT}"

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        count = len(subject.features)
        if why := self.suits(subject, None):
            raise BadRequest(why)
        numbers = np.arange(2**count)
        self.coalitions = (numbers[:, np.newaxis] >> np.arange(count)) & 1 == 1
        sizes = self.coalitions.sum(axis=1)
        weights = [factorial(s) * factorial(count - s - 1) for s in range(count)]
        self.weights = np.array([*weights, 0])[sizes] / factorial(count)

    def _row(
        self, subject: Subject, row: pd.DataFrame, budget: Budget
    ) -> tuple[np.ndarray, float, dict[str, Any]]:
        worths = self.worths(subject, row, self.coalitions, budget)
        values = np.empty(self.coalitions.shape[1])
        for at in range(len(values)):
            without = np.flatnonzero(~self.coalitions[:, at])
            gains = worths[without | 1 << at] - worths[without]
            values[at] = float(self.weights[without] @ gains)
        return values, float(worths[0]), {"backgroundRows": len(self.reference)}


class PermutationExplainer(SamplingExplainer):
    """Features join one after the other, in `permutations` random orders and their opposites.

    Every order adds up to the score by itself; `standardErrors`, by feature, say how far the mean
    of these orders may be from that of all, `standardError` the largest.
    """

    method: ClassVar[str] = "shap.permutation"
    defaults: ClassVar[dict[str, Any]] = {"permutations": 10, "backgroundRows": 25}

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.permutations = whole_number(self.settings, "permutations", 2, 10_000)

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        return "" if subject.features else "The model takes tensors, not features"

    def _row(
        self, subject: Subject, row: pd.DataFrame, budget: Budget
    ) -> tuple[np.ndarray, float, dict[str, Any]]:
        count = len(subject.features)
        random = np.random.default_rng(self.seed)
        orders = np.array([random.permutation(count) for _ in range(self.permutations)])
        orders = np.stack((orders, orders[:, ::-1]), axis=1).reshape(-1, count)
        worths = self._along(subject, row, orders, budget)
        gains = np.empty((len(orders), count))
        np.put_along_axis(gains, orders, np.diff(worths, axis=1), axis=1)
        pairs = gains.reshape(self.permutations, 2, count).mean(axis=1)
        errors = pairs.std(axis=0, ddof=1) / np.sqrt(self.permutations)
        fidelity = {
            "standardError": float(errors.max()),
            "standardErrors": errors.tolist(),
            "permutations": self.permutations,
            "backgroundRows": len(self.reference),
        }
        return pairs.mean(axis=0), float(worths[0, 0]), fidelity

    def _along(
        self, subject: Subject, row: pd.DataFrame, orders: np.ndarray, budget: Budget
    ) -> np.ndarray:
        """(orders, features + 1) worths from nobody to all; the ends are asked once."""
        count = orders.shape[1]
        places = np.argsort(orders, axis=1)[:, np.newaxis, :]
        inner = places < np.arange(1, count)[np.newaxis, :, np.newaxis]
        ends = np.array([[False] * count, [True] * count])
        asked, back = np.unique(
            np.concatenate((ends, inner.reshape(-1, count))), axis=0, return_inverse=True
        )
        found = self.worths(subject, row, asked, budget)[back.reshape(-1)]
        middle = found[2:].reshape(len(orders), count - 1)
        nobody, everybody = (np.full((len(orders), 1), found[end]) for end in (0, 1))
        return np.hstack((nobody, middle, everybody))

"""LIME for tables: a weighted linear model around one row, with how well it fits there.

Ribeiro, Singh and Guestrin, "Why Should I Trust You?", KDD 2016, by the authors' own library.
Resetting the explainer's random state alone leaves its discretizer's where it was, so both are set
to the seed for every row: the same request gives the same answer.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.explainers.base import Background, Budget, answer, plain
from apps.serving.explainers.coding import Coding
from apps.serving.explainers.tabular import (
    Asked,
    Said,
    Tabular,
    read_settings,
    unit_of_outputs,
)

Array = np.ndarray
_GAP = -1.0


@dataclass(frozen=True, slots=True)
class _Settings:
    """`samples` around the row; `kernelWidth` 0 is the library's 0.75 * sqrt(features)."""

    samples: int = 5000
    kernelWidth: float = 0.0  # noqa: N815

    def __post_init__(self) -> None:
        if not 100 <= self.samples <= 100_000:
            raise ValueError("samples must be 100 to 100,000")
        if self.kernelWidth < 0:
            raise ValueError("kernelWidth must be positive, or 0 for the usual one")


class LimeTabular(Tabular):
    """Contributions of each feature's range or category to the probability or value, locally."""

    method = "lime"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.options = read_settings(_Settings, self.settings, self.method)

    def fit(self, background: Background) -> None:
        super().fit(background)
        self.lime = explainer_of(
            self.coding,
            _filled(self.coding, self.codes),
            bool(self.subject.classes),
            self.options.kernelWidth,
            self.seed,
        )

    def _explain(
        self, subject: Any, row: pd.DataFrame, told: Said, budget: Budget
    ) -> dict[str, Any]:
        coding = self.coding.including(row)
        code = coding.codes(row)[0]
        asked = Asked(subject, coding, budget)
        target = subject.target if subject.classes else 0

        def predict(codes: Array) -> Array:
            outputs = asked.outputs(_unfilled(coding, codes))
            return outputs if subject.classes else outputs[:, subject.target]

        found = reseeded(self.lime, self.seed).explain_instance(
            _filled(coding, code[np.newaxis])[0],
            predict,
            labels=(target,),
            num_features=len(code),
            num_samples=self.options.samples,
        )
        label = target if subject.classes else 1
        weights = dict(found.local_exp[label])
        return answer(
            self,
            subject,
            prediction=told.outputs[0, subject.target],
            output=told.answers[0],
            base_value=float(found.intercept[label]),
            background=self.background,
            fidelity={
                "localR2": _number(found.score),
                "localPrediction": float(np.ravel(found.local_pred)[0]),
                "samples": self.options.samples,
            },
            budget=budget,
            contributions=[
                {
                    "feature": name,
                    "value": plain(row[name].iloc[0]),
                    "contribution": float(weights[at]),
                }
                for at, name in enumerate(coding.names)
            ],
        ) | {"unit": unit_of_outputs(subject)}


def explainer_of(
    coding: Coding, codes: Array, classifies: bool, kernel_width: float, seed: int
) -> Any:
    """The library's explainer of coded rows: quartiles of numbers, categories as they are.

    Where values may be missing, their absence is a bin of its own. Takes `_filled` codes.
    """
    from lime.lime_tabular import LimeTabularExplainer

    categorical = [int(at) for at in np.flatnonzero(~coding.numeric)]
    nullable = any(f.nullable for f, n in zip(coding.features, coding.numeric, strict=True) if n)
    random = np.random.RandomState(seed)
    discretizer: Any = "quartile"
    if nullable or np.isnan(codes).any():
        discretizer = _with_gaps(codes, categorical, coding.names, random)
    return LimeTabularExplainer(
        codes,
        mode="classification" if classifies else "regression",
        feature_names=coding.names,
        categorical_features=categorical,
        discretizer=discretizer,
        feature_selection="none",
        kernel_width=kernel_width or None,
        random_state=random,
    )


def reseeded(explainer: Any, seed: int) -> Any:
    """A copy of the explainer whose next explanation is that of a new one with the seed."""
    fresh = copy.copy(explainer)
    fresh.discretizer = copy.copy(explainer.discretizer)
    fresh.base = copy.copy(explainer.base)
    random = np.random.RandomState(seed)
    fresh.random_state = fresh.discretizer.random_state = fresh.base.random_state = random
    return fresh


def _with_gaps(codes: Array, categorical: list[int], names: list[str], random: Any) -> Any:
    """The library's quartiles, with one bin more for missing numbers."""
    from lime.discretize import BaseDiscretizer

    class Quartiles(BaseDiscretizer):  # type: ignore[misc]
        def bins(self, data: Array, labels: Any) -> list[Array]:
            return [_quartiles(data[:, at]) for at in self.to_discretize]

        def get_undiscretize_values(self, feature: int, values: Array) -> Array:
            gap = values == len(self.means[feature]) - 1
            drawn: Array = super().get_undiscretize_values(feature, values)
            return np.where(gap, np.nan, drawn)

    made = Quartiles(codes, categorical, names, random_state=random)
    for at in made.to_discretize:
        _add_gap(made, at, codes[:, at])
    return made


def _quartiles(column: Array) -> Array:
    known = column[np.isfinite(column)]
    return np.percentile(known, [25, 50, 75]) if len(known) else np.zeros(1)


def _add_gap(discretizer: Any, at: int, column: Array) -> None:
    """Bins of the known numbers as the library makes them, and a last one that is never drawn."""
    known = column[np.isfinite(column)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    cuts = np.unique(_quartiles(column))
    last = len(cuts) + 1
    binned = [known[np.searchsorted(cuts, known) == each] for each in range(last)]
    discretizer.lambdas[at] = lambda x: np.where(np.isnan(x), last, np.searchsorted(cuts, x))
    discretizer.mins[at] = [low, *cuts.tolist(), 0.0]
    discretizer.maxs[at] = [*cuts.tolist(), high, 0.0]
    discretizer.means[at] = [*(part.mean() if len(part) else 0.0 for part in binned), 0.0]
    discretizer.stds[at] = [*((part.std() if len(part) else 0.0) + 1e-11 for part in binned), 1.0]
    name = discretizer.names[at][0].rsplit(" <= ", 1)[0]
    discretizer.names[at] = [*discretizer.names[at], f"{name} is missing"]


def _filled(coding: Coding, codes: Array) -> Array:
    """Codes with a missing category as one of its own, because NaN equals no NaN."""
    return np.where(np.isnan(codes) & ~coding.numeric, _GAP, codes)


def _unfilled(coding: Coding, codes: Array) -> Array:
    return np.where((codes == _GAP) & ~coding.numeric, np.nan, codes)


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None

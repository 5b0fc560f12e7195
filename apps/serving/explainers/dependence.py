"""Partial dependence and ICE: what the model answers where one or two features take each value.

Friedman, "Greedy function approximation", 2001; Goldstein et al., "Peeking inside the black box",
2015. As in scikit-learn's `inspection`, with the grid of its percentiles, but of any served model,
in the raw features, in the unit of what the model answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest, LoadError
from apps.serving.explainers.base import Background, Budget, answer
from apps.serving.explainers.coding import Coding
from apps.serving.explainers.tabular import (
    Asked,
    Said,
    Tabular,
    check_names,
    read_settings,
    unit_of_outputs,
)

Array = np.ndarray
_CHUNK = 20_000
_PLACE = 0.4


@dataclass(frozen=True, slots=True)
class _Settings:
    """`features` are names or pairs of names (none: each feature alone).

    The grid has at most `points` values between the `percentiles` of a number, `pairPoints` a side
    for two features; `rows` of the background are averaged, the first of a shuffle by the seed.
    """

    features: list[Any] = field(default_factory=list)
    points: int = 20
    pairPoints: int = 8  # noqa: N815
    percentiles: tuple[float, float] = (0.05, 0.95)
    rows: int = 200

    def __post_init__(self) -> None:
        if min(self.points, self.pairPoints, self.rows) < 2:
            raise ValueError("points, pairPoints and rows must be at least 2")
        low, high = self.percentiles
        if not 0 <= low < high <= 1:
            raise ValueError("percentiles must grow from 0 to 1")


@dataclass(frozen=True, slots=True)
class Curve:
    """Features by position, their grids, and the outputs of shape (rows, *grid sizes, k)."""

    at: tuple[int, ...]
    grid: tuple[Array, ...]
    outputs: Array

    def individual(self, target: int) -> Array:
        """Each row's own curve, (rows, *grid sizes)."""
        one: Array = self.outputs[..., target]
        return one

    def average(self, target: int) -> Array:
        mean: Array = self.individual(target).mean(axis=0)
        return mean


class PartialDependence(Tabular):
    """The background's average curve beside the row's own, for one or two features at a time."""

    method = "partial_dependence"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.options = read_settings(_Settings, self.settings, self.method)
        self.chosen = _chosen(self.options.features or subject.names, subject.names)

    def fit(self, background: Background) -> None:
        """Computes the background's curves, so that a request asks about its own rows alone."""
        super().fit(background)
        order = np.random.default_rng(self.seed).permutation(len(self.codes))
        rows = self.codes[np.sort(order[: self.options.rows])]
        asked = Asked(self.subject, self.coding, Budget(float("inf")))
        self.curves = tuple(
            curve(asked, rows, at, _grids(self.coding, self.codes, at, self.options))
            for at in self.chosen
        )

    def _explain(
        self, subject: Any, row: pd.DataFrame, told: Said, budget: Budget
    ) -> dict[str, Any]:
        coding = self.coding.including(row)
        asked = Asked(subject, coding, budget)
        code = coding.codes(row)
        own = own_curves(asked, code, self.curves)
        drawn = [
            _drawn(coding, whole, each, subject.target)
            for whole, each in zip(self.curves, own, strict=True)
        ]
        return answer(
            self,
            subject,
            prediction=told.outputs[0, subject.target],
            output=told.answers[0],
            base_value=None,
            background=self.background,
            fidelity={"rows": min(self.options.rows, len(self.codes))},
            budget=budget,
            curves=drawn,
        ) | {"unit": unit_of_outputs(subject)}


def curve(asked: Asked, rows: Array, at: tuple[int, ...], grid: tuple[Array, ...]) -> Curve:
    """The model's answers to the rows with features `at` set to each point of the grid."""
    changed = _changed(rows, at, grid)
    chunks = range(0, len(changed), _CHUNK)
    outputs = np.concatenate([asked.outputs(changed[start : start + _CHUNK]) for start in chunks])
    return _shaped(outputs, len(rows), at, grid)


def own_curves(asked: Asked, code: Array, wholes: Sequence[Curve]) -> list[Curve]:
    """The curves of one row over the same grids, with the model asked once about all of them."""
    changed = [_changed(code, whole.at, whole.grid) for whole in wholes]
    outputs = asked.outputs(np.concatenate(changed))
    parts = np.split(outputs, np.cumsum([len(each) for each in changed])[:-1])
    return [
        _shaped(part, 1, whole.at, whole.grid) for part, whole in zip(parts, wholes, strict=True)
    ]


def _changed(rows: Array, at: tuple[int, ...], grid: tuple[Array, ...]) -> Array:
    """The rows at the first point of the grid, then at the next, and so on."""
    points = np.stack([each.ravel() for each in np.meshgrid(*grid, indexing="ij")], axis=1)
    changed = np.tile(rows, (len(points), 1))
    changed[:, list(at)] = np.repeat(points, len(rows), axis=0)
    return changed


def _shaped(outputs: Array, rows: int, at: tuple[int, ...], grid: tuple[Array, ...]) -> Curve:
    by_row = outputs.reshape(-1, rows, outputs.shape[1]).swapaxes(0, 1)
    return Curve(at, grid, by_row.reshape(rows, *(len(each) for each in grid), -1))


def _drawn(coding: Coding, whole: Curve, own: Curve, target: int) -> dict[str, Any]:
    grids = [
        [coding.value(at, code) for code in grid]
        for at, grid in zip(whole.at, whole.grid, strict=True)
    ]
    return {
        "features": [coding.names[at] for at in whole.at],
        "grid": grids[0] if len(grids) == 1 else grids,
        "average": whole.average(target).tolist(),
        "individual": own.individual(target)[0].tolist(),
    }


def _chosen(features: Sequence[Any], names: list[str]) -> list[tuple[int, ...]]:
    chosen = []
    for each in features:
        pair = [each] if isinstance(each, str) else list(each)
        if not 1 <= len(pair) <= 2 or len(set(pair)) < len(pair):
            raise LoadError('"features" holds names, and pairs of two different names')
        chosen.append(tuple(names.index(name) for name in check_names(pair, names, "features")))
    return chosen


def _grids(
    coding: Coding, codes: Array, at: tuple[int, ...], options: _Settings
) -> tuple[Array, ...]:
    points = options.points if len(at) == 1 else options.pairPoints
    return tuple(_grid(coding, each, codes[:, each], points, options.percentiles) for each in at)


def _grid(
    coding: Coding, at: int, column: Array, points: int, percentiles: tuple[float, float]
) -> Array:
    """All categories; all values of a number that has few; else even steps between percentiles."""
    if not coding.numeric[at]:
        return np.arange(len(coding.values[at]), dtype=float)
    known = np.unique(column[np.isfinite(column)])
    if not len(known):
        raise BadRequest(f"The background has no value of {coding.names[at]}")
    if len(known) <= points:
        return known
    low, high = quantiles(column[np.isfinite(column)], percentiles)
    grid = np.linspace(low, high, points)
    return np.unique(np.rint(grid)) if coding.features[at].kind == "integer" else grid


def quantiles(values: Array, shares: tuple[float, ...]) -> Array:
    """Approximately quantile-unbiased quantiles (Cunnane, "Unbiased plotting positions", 1978), as
    scipy's `mquantiles` gives them; here, because not every environment has scipy."""
    ordered, wanted = np.sort(values), np.asarray(shares)
    rows = len(ordered)
    if rows == 1:
        return np.repeat(ordered, len(shares))
    place = rows * wanted + (_PLACE + wanted * (1 - _PLACE - _PLACE))
    below = np.floor(place.clip(1, rows - 1)).astype(int)
    part = (place - below).clip(0, 1)
    found: Array = (1 - part) * ordered[below - 1] + part * ordered[below]
    return found

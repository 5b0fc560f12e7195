"""What may change about a row: which features, in which direction, within which values."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from apps.serving.errors import LoadError
from apps.serving.explainers.coding import Coding
from apps.serving.explainers.tabular import check_names

Array = np.ndarray
_MOST_DECIMALS = 6
_DIRECTIONS = {1: 1, -1: -1, 0: 0, "increase": 1, "decrease": -1}


@dataclass(frozen=True, slots=True)
class Constraints:
    """Per feature, arrays of shape (features,): codes must stay from `lower` to `upper`.

    Numbers are multiples of `step` (0: any); categories have a step of 1. `scale` makes distances
    comparable: a standard deviation of a number, 1 for any other category.
    """

    mutable: Array
    direction: Array
    lower: Array
    upper: Array
    step: Array
    scale: Array
    numeric: Array

    def around(self, code: Array) -> "Constraints":
        """The same, with what may only grow or shrink bounded by the row's own value."""
        lower = np.where(self.direction > 0, np.fmax(self.lower, code), self.lower)
        upper = np.where(self.direction < 0, np.fmin(self.upper, code), self.upper)
        return replace(self, lower=lower, upper=upper, mutable=self.mutable & (lower <= upper))

    def allows(self, at: int, codes: Array) -> Array:
        """Which codes feature `at` may take."""
        within: Array = (codes >= self.lower[at]) & (codes <= self.upper[at])
        return within if self.mutable[at] else np.zeros(len(codes), dtype=bool)

    def rounded(self, at: int, codes: Array) -> Array:
        """The nearest codes that the feature's values have, such as whole numbers."""
        step = self.step[at]
        if not step:
            return codes
        decimals = max(0, round(-np.log10(step)))
        return np.clip(np.round(codes, decimals), self.lower[at], self.upper[at])

    def distance(self, codes: Array, code: Array) -> Array:
        """The sum over features of |difference| / scale; another or a missing category counts 1."""
        apart = np.abs(codes - code) / self.scale
        apart = np.where(self.numeric, apart, (codes != code).astype(float))
        missing = np.isnan(codes) != np.isnan(code)
        both = np.isnan(codes) & np.isnan(code)
        total: Array = np.where(missing, 1.0, np.where(both, 0.0, apart)).sum(axis=1)
        return total


def constraints_of(coding: Coding, codes: Array, options: Any) -> Constraints:
    """From the features' own marks and the settings. Raises LoadError for unknown names.

    A direction of categories follows their order in the metadata.
    """
    names = coding.names
    immutable = set(check_names(options.immutable, names, "immutable"))
    actionable = set(check_names(options.actionable, names, "actionable")) or set(names)
    check_names(options.monotone, names, "monotone")
    check_names(options.ranges, names, "ranges")
    mutable = [
        feature.name in actionable and feature.name not in immutable and not feature.immutable
        for feature in coding.features
    ]
    direction = [
        _direction(feature.name, options.monotone.get(feature.name, feature.monotone))
        for feature in coding.features
    ]
    ranges = [_range(coding, at, codes[:, at], options.ranges) for at in range(len(names))]
    steps = [_step(coding, at, codes[:, at]) for at in range(len(names))]
    lower, upper = (np.array(side, dtype=float) for side in zip(*ranges, strict=True))
    return Constraints(
        mutable=np.array(mutable),
        direction=np.array(direction),
        lower=lower,
        upper=upper,
        step=np.array(steps),
        scale=np.array([_scale(codes[:, at]) for at in range(len(names))]),
        numeric=coding.numeric,
    )


def _direction(name: str, wanted: Any) -> int:
    if isinstance(wanted, bool) or wanted not in _DIRECTIONS:
        raise LoadError(f'"monotone" of {name} must be increase or decrease, not {wanted}')
    return _DIRECTIONS[wanted]


def _range(coding: Coding, at: int, column: Array, ranges: dict[str, Any]) -> tuple[float, float]:
    """What the background holds, unless the settings say otherwise; all categories."""
    name = coding.names[at]
    if not coding.numeric[at]:
        return 0.0, float(max(len(coding.values[at]) - 1, 0))
    if name in ranges:
        try:
            low, high = (float(bound) for bound in ranges[name])
        except (TypeError, ValueError):
            raise LoadError(f'"ranges" of {name} must be two numbers') from None
        if low > high:
            raise LoadError(f'"ranges" of {name} has a minimum above its maximum')
        return low, high
    known = column[np.isfinite(column)]
    return (float(known.min()), float(known.max())) if len(known) else (np.inf, -np.inf)


def _step(coding: Coding, at: int, column: Array) -> float:
    """1 for whole numbers and categories, the decimals that the background has, or 0."""
    if not coding.numeric[at] or coding.features[at].kind == "integer":
        return 1.0
    known = column[np.isfinite(column)]
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(known, decimals), known):
            return float(10.0**-decimals)
    return 0.0


def _scale(column: Array) -> float:
    spread = float(np.nanstd(column)) if np.isfinite(column).any() else 0.0
    return spread if spread > 0 else 1.0

"""Which features count most over many rows, each with the interval of a bootstrap of the rows.

Permutation importance (Breiman, "Random Forests", 2001): how much worse the model does where one
feature's values are shuffled among the rows. Mean absolute contribution: of any explainer that
adds up to the prediction, such as SHAP. Arrays in, a frozen dataclass out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest, ModelFailure
from apps.serving.explainers.base import Budget
from apps.serving.explainers.tabular import finite_outputs

Array = np.ndarray
Losses = Callable[[Array, Array], Array]
_LEVEL = 0.95
_RESAMPLES = 500
_FEWEST_ROWS = 10
_SMALLEST = 1e-15


@dataclass(frozen=True, slots=True)
class Importance:
    """Arrays of shape (features,) in feature order; `low` and `high` hold 95 % of resamples.

    `measure` says what was measured: a loss's name, or "contribution". `baseline` is the loss, or
    the mean contribution of nothing (0).
    """

    features: tuple[str, ...]
    measure: str
    baseline: float
    values: Array
    low: Array
    high: Array
    rows: int
    repeats: int
    seed: int

    def as_json(self) -> dict[str, Any]:
        """The features in their order, and the ranking by value; ties by feature order."""
        ranking = np.argsort(-self.values, kind="stable")
        parts = zip(self.features, self.values, self.low, self.high, strict=True)
        return {
            "measure": self.measure,
            "baseline": self.baseline,
            "features": [
                {"feature": name, "importance": float(v), "low": float(low), "high": float(high)}
                for name, v, low, high in parts
            ],
            "ranking": [self.features[at] for at in ranking],
            "rows": self.rows,
            "repeats": self.repeats,
            "seed": self.seed,
            "level": _LEVEL,
        }


def permutation_importance(
    subject: Any,
    frame: pd.DataFrame,
    actual: Array | None,
    budget: Budget,
    *,
    repeats: int = 5,
    seed: int = 0,
    measure: str = "",
) -> Importance:
    """The rise of the mean loss where a feature is shuffled.

    `frame` is raw rows as `Subject.table` gives them, `actual` the true labels or values of the
    rows; without it the model's own answers stand in, so that what it relies on is measured, not
    what makes it right. `measure` is logLoss or error for classes, squaredError or absoluteError
    for values; the first of each by default.
    """
    _check_rows(len(frame))
    frame = frame.reset_index(drop=True)
    name, losses = _loss(subject, measure)
    budget.spend(len(frame))
    outputs = finite_outputs(subject, frame)
    truth = _truth(subject, outputs, actual)
    own = losses(outputs, truth)
    rises = np.zeros((len(frame), len(subject.names)))
    random = np.random.default_rng(seed)
    for at, feature in enumerate(subject.names):
        for _ in range(repeats):
            shuffled = frame[feature].iloc[random.permutation(len(frame))].to_numpy()
            budget.spend(len(frame))
            changed = frame.assign(**{feature: pd.Series(shuffled, dtype=frame[feature].dtype)})
            rises[:, at] += losses(finite_outputs(subject, changed), truth) - own
    return _summed(subject.names, name, float(own.mean()), rises / repeats, repeats, seed)


def contribution_importance(
    contributions: Callable[[pd.DataFrame], Array],
    frame: pd.DataFrame,
    names: list[str],
    *,
    seed: int = 0,
) -> Importance:
    """The mean absolute contribution; `contributions` takes the rows to (n, features)."""
    _check_rows(len(frame))
    values = np.abs(np.asarray(contributions(frame), dtype=np.float64))
    if values.shape != (len(frame), len(names)):
        raise ModelFailure(
            f"The contributions have the shape {values.shape}; {(len(frame), len(names))} is needed"
        )
    if not np.isfinite(values).all():
        raise ModelFailure("The contributions hold NaN or infinity")
    return _summed(names, "contribution", 0.0, values, 1, seed)


def _summed(
    names: list[str], measure: str, baseline: float, values: Array, repeats: int, seed: int
) -> Importance:
    """The mean of (rows, features) with the percentile interval of its bootstrap."""
    random = np.random.default_rng([seed, len(values)])
    weights = random.multinomial(len(values), np.full(len(values), 1 / len(values)), _RESAMPLES)
    means = weights @ values / len(values)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    return Importance(
        tuple(names), measure, baseline, values.mean(axis=0), low, high, len(values), repeats, seed
    )


def _truth(subject: Any, outputs: Array, actual: Array | None) -> Array:
    """The index of each row's class, or its value."""
    if not subject.classes:
        return outputs[:, subject.target] if actual is None else np.asarray(actual, dtype=float)
    if actual is None:
        return np.asarray(outputs.argmax(axis=1))
    return np.array([subject.index_of(label) for label in np.asarray(actual).tolist()])


def _loss(subject: Any, measure: str) -> tuple[str, Losses]:
    known = _CLASS_LOSSES if subject.classes else _VALUE_LOSSES
    name = measure or next(iter(known))
    if name not in known:
        raise BadRequest(f"There is no measure {name} for this model; it has {', '.join(known)}")
    return name, known[name]


def _log_loss(outputs: Array, truth: Array) -> Array:
    own = outputs[np.arange(len(truth)), truth] / outputs.sum(axis=1)
    return np.asarray(-np.log(np.clip(own, _SMALLEST, 1.0)))


def _error(outputs: Array, truth: Array) -> Array:
    return np.asarray(outputs.argmax(axis=1) != truth, dtype=float)


def _squared_error(outputs: Array, truth: Array) -> Array:
    return np.asarray((outputs[:, 0] - truth) ** 2)


def _absolute_error(outputs: Array, truth: Array) -> Array:
    return np.asarray(np.abs(outputs[:, 0] - truth))


_CLASS_LOSSES: dict[str, Losses] = {"logLoss": _log_loss, "error": _error}
_VALUE_LOSSES: dict[str, Losses] = {
    "squaredError": _squared_error,
    "absoluteError": _absolute_error,
}


def _check_rows(rows: int) -> None:
    if rows < _FEWEST_ROWS:
        raise BadRequest(f"Importance needs at least {_FEWEST_ROWS} rows, better some hundred")

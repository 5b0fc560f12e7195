"""A short way through the steps of a pipeline, for few rows: the same numbers without the checks.

scikit-learn looks at every column of a frame again in every step, some milliseconds a call. Where
all steps are known, their arithmetic on complete rows of known categories is done here instead.
It is held to the pipeline's own result, bit by bit, on rows of the background.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from apps.serving.explainers.grouping import positions

Act = Callable[[np.ndarray], np.ndarray]


class Unsure(Exception):
    """A step, a missing value or an unknown category that the pipeline itself has to judge."""


class Encoding:
    """What `steps` make of raw values, columns in feature order."""

    def __init__(self, steps: Sequence[Any], names: list[str]) -> None:
        """Raises Unsure for a step that is not known."""
        self._act = _one_after_other(steps, names)
        self._form: type | None = None
        self._by_column = False

    def proven(self, frame: pd.DataFrame, real: Any) -> bool:
        """Whether it gives what the pipeline gave for the complete rows of a frame."""
        whole = frame.notna().all(axis=1).to_numpy()
        real = real[np.flatnonzero(whole)]
        self._form = type(real) if sparse.issparse(real) else None
        if self._form is None and not isinstance(real, np.ndarray):
            return False
        self._by_column = isinstance(real, np.ndarray) and not real.flags.c_contiguous
        ours = self.of(frame[whole])
        return bool(whole.any()) and ours is not None and _same(ours, real)

    def of(self, frame: pd.DataFrame) -> Any:
        """What the final estimator takes; None where the pipeline has to be asked."""
        try:
            found = self._act(frame.to_numpy(dtype=object))
        except Unsure:
            return None
        if self._form is not None:
            return self._form(found)
        return np.asfortranarray(found) if self._by_column else np.ascontiguousarray(found)


def _same(ours: Any, real: Any) -> bool:
    if sparse.issparse(real):
        parts = ("data", "indices", "indptr")
        return real.format == "csr" and all(
            np.array_equal(getattr(ours, part), getattr(real, part)) for part in parts
        )
    return bool(ours.dtype == real.dtype and np.array_equal(ours, real))


def _one_after_other(steps: Sequence[Any], names: list[str]) -> Act:
    acts = []
    for step in steps:
        acts.append(_act(step, names))
        names = [""] * len(names)  # later steps take columns by position, or are not known

    def through(values: np.ndarray) -> np.ndarray:
        for act in acts:
            values = act(values)
        return values

    return through


def _act(step: Any, names: list[str]) -> Act:
    """The arithmetic of a fitted step; raises Unsure where it is not known."""
    if isinstance(step, str) and step == "passthrough":
        return _kept
    known = _ACTS.get(type(step))
    told = getattr(step, "_sklearn_output_config", {}).get("transform", "default")
    if known is None or told != "default":
        raise Unsure
    act: Act = known(step, names)
    return act


def _kept(values: np.ndarray) -> np.ndarray:
    return values


def _numbers(values: np.ndarray) -> np.ndarray:
    try:
        found = values.astype(np.float64)
    except (TypeError, ValueError):
        raise Unsure from None
    if not np.isfinite(found).all():
        raise Unsure
    return found


def _column_transformer(step: ColumnTransformer, names: list[str]) -> Act:
    parts: list[tuple[list[int], slice, Act]] = []
    width = max((place.stop for place in step.output_indices_.values()), default=0)
    for name, part, columns in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        try:
            at = positions(columns, names)
        except ValueError:
            raise Unsure from None
        act = _act(part, [names[each] for each in at])
        parts.append((at, step.output_indices_[name], act))

    def side_by_side(values: np.ndarray) -> np.ndarray:
        made = np.empty((len(values), width))
        for at, place, act in parts:
            made[:, place] = _numbers(act(values[:, at]))
        return made

    return side_by_side


def _one_hot(step: OneHotEncoder, _names: list[str]) -> Act:
    if step.drop_idx_ is not None or step._infrequent_enabled or step.dtype != np.float64:
        raise Unsure
    starts = np.cumsum([0, *(len(known) for known in step.categories_)])
    places = [
        {value: int(start) + at for at, value in enumerate(known.tolist())}
        for start, known in zip(starts, step.categories_, strict=False)
    ]

    def ones(values: np.ndarray) -> np.ndarray:
        made = np.zeros((len(values), int(starts[-1])))
        for column, known in enumerate(places):
            try:
                at = [known[value] for value in values[:, column].tolist()]
            except (KeyError, TypeError):
                raise Unsure from None
            made[np.arange(len(values)), at] = 1.0
        return made

    return ones


def _scaler(step: StandardScaler, _names: list[str]) -> Act:
    def scaled(values: np.ndarray) -> np.ndarray:
        numbers = _numbers(values)
        if step.with_mean:
            numbers = numbers - step.mean_
        return numbers / step.scale_ if step.with_std else numbers

    return scaled


def _imputer(step: SimpleImputer, _names: list[str]) -> Act:
    """Complete rows pass it unchanged, unless it replaces something else or drops a column."""
    empty = [isinstance(value, float) and np.isnan(value) for value in step.statistics_]
    gap = step.missing_values
    if any(empty) or step.add_indicator or not (gap is None or gap is pd.NA or gap != gap):  # noqa: PLR0124
        raise Unsure

    def complete(values: np.ndarray) -> np.ndarray:
        if pd.isna(values).any():
            raise Unsure
        return values

    return complete


def _pipeline(step: Pipeline, names: list[str]) -> Act:
    return _one_after_other([part for _, part in step.steps if part is not None], names)


def _function(step: FunctionTransformer, _names: list[str]) -> Act:
    if step.func is not None:
        raise Unsure
    return _kept


_ACTS: dict[type, Callable[[Any, list[str]], Act]] = {
    ColumnTransformer: _column_transformer,
    FunctionTransformer: _function,
    OneHotEncoder: _one_hot,
    Pipeline: _pipeline,
    SimpleImputer: _imputer,
    StandardScaler: _scaler,
}

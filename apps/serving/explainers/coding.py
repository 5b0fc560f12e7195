"""Raw rows as an array of numbers and back, for methods that sample or search among values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.explainers.base import Feature, plain

Array = np.ndarray


class Coding:
    """Numbers stand for themselves, other values for their position among the known ones.

    NaN is a missing value. Known values are the feature's categories, then what the frames hold
    beyond them, in sorted order; a Coding never changes, `including` gives a wider one.
    """

    def __init__(self, features: Sequence[Feature], frame: pd.DataFrame) -> None:
        self.features = tuple(features)
        self.names = [feature.name for feature in features]
        self.numeric = np.array([_is_numeric(f, frame[f.name]) for f in self.features], dtype=bool)
        self.values: list[tuple[Any, ...]] = [
            () if numeric else _with_new(_first_values(feature), frame[feature.name])
            for feature, numeric in zip(self.features, self.numeric, strict=True)
        ]
        self._index()

    def _index(self) -> None:
        self._positions = [{value: float(at) for at, value in enumerate(v)} for v in self.values]
        self._lookups = [_objects([*known, np.nan]) for known in self.values]

    def including(self, frame: pd.DataFrame) -> "Coding":
        """The same codes, and further ones for values of `frame` that are not known yet."""
        wider = [
            known if numeric else _with_new(known, frame[name])
            for name, known, numeric in zip(self.names, self.values, self.numeric, strict=True)
        ]
        if wider == self.values:
            return self
        copy = Coding.__new__(Coding)
        copy.features, copy.names, copy.numeric = self.features, self.names, self.numeric
        copy.values = wider
        copy._index()
        return copy

    def codes(self, frame: pd.DataFrame) -> Array:
        """Shape (n, features), float64."""
        columns = [self._column(at, frame[name]) for at, name in enumerate(self.names)]
        return np.column_stack(columns) if len(frame) else np.empty((0, len(self.names)))

    def _column(self, at: int, column: pd.Series) -> Array:
        if self.numeric[at]:
            return np.asarray(column, dtype=float)
        positions = self._positions[at]
        return np.array([positions.get(value, np.nan) for value in column.tolist()], dtype=float)

    def frame(self, codes: Array) -> pd.DataFrame:
        """Raw values in the types of the features; whole numbers with gaps become floats."""
        columns = {name: self._raw(at, codes[:, at]) for at, name in enumerate(self.names)}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(codes)), copy=False)

    def _raw(self, at: int, codes: Array) -> Any:
        if self.numeric[at]:
            whole = self.features[at].kind == "integer" and not np.isnan(codes).any()
            return np.rint(codes).astype(np.int64) if whole else codes
        gaps = np.isnan(codes)
        if self.features[at].kind == "boolean" and not gaps.any():
            return codes.astype(np.int64) == self.values[at].index(True)
        positions = np.where(gaps, len(self.values[at]), codes).astype(np.int64)
        return pd.Series(self._lookups[at][positions], dtype=object)

    def value(self, at: int, code: float) -> Any:
        """The plain Python value of one code; None where it is missing."""
        if np.isnan(code):
            return None
        if not self.numeric[at]:
            return plain(self.values[at][int(code)])
        return round(code) if self.features[at].kind == "integer" else float(code)


def _is_numeric(feature: Feature, column: pd.Series) -> bool:
    if feature.kind in ("number", "integer"):
        return not feature.categories
    return feature.kind == "any" and bool(pd.api.types.is_numeric_dtype(column.dtype))


def _first_values(feature: Feature) -> tuple[Any, ...]:
    return (False, True) if feature.kind == "boolean" else tuple(feature.categories)


def _with_new(known: tuple[Any, ...], column: pd.Series) -> tuple[Any, ...]:
    new = {plain(value) for value in column.unique().tolist()} - set(known) - {None}
    return (*known, *sorted(new, key=lambda value: (str(type(value)), value)))


def _objects(values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

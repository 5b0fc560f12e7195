"""Features from metadata and a sample, and tables brought into their types."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Feature

_MOST_LISTED = 10


def features_of(
    metadata: dict[str, Any], described: dict[str, Any], sample: pd.DataFrame | None
) -> tuple[Feature, ...]:
    """The model's features in their order: from the metadata, else from the model itself.

    Empty where a model names none and says not how many it takes.
    """
    entries = metadata.get("features") or [{"name": name} for name in _names(described, sample)]
    return tuple(_feature(entry, sample) for entry in entries)


def _names(described: dict[str, Any], sample: pd.DataFrame | None) -> list[str]:
    names = described.get("featureNames")
    if names:
        return [str(name) for name in names]
    if sample is not None:
        return [str(name) for name in sample.columns]
    return [f"x{number}" for number in range(described.get("featureCount") or 0)]


def _feature(entry: dict[str, Any], sample: pd.DataFrame | None) -> Feature:
    column = sample[entry["name"]] if sample is not None and entry["name"] in sample else None
    categories = tuple(entry.get("categories") or ())
    kind = entry.get("type") or ("category" if categories else _kind(column))
    lower = upper = None
    nullable = bool(entry.get("nullable"))
    if column is not None:
        present = column.dropna()
        if "type" not in entry and not nullable:
            nullable = len(present) < len(column)
        if (
            kind in ("number", "integer")
            and pd.api.types.is_numeric_dtype(present)
            and len(present)
        ):
            lower, upper = float(present.min()), float(present.max())
        if kind == "category" and not categories:
            categories = tuple(sorted(present.unique().tolist(), key=str))
    return Feature(
        name=str(entry["name"]),
        kind=kind,
        categories=categories,
        nullable=nullable,
        lower=lower,
        upper=upper,
        label=str(entry.get("label") or ""),
        unit=str(entry.get("unit") or ""),
        immutable=bool(entry.get("immutable")),
        monotone=int(entry.get("monotone") or 0),
    )


def _kind(column: pd.Series | None) -> str:
    """The kind of a feature that the metadata does not describe."""
    if column is None:
        return "any"
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_integer_dtype(column):
        return "integer"
    return "number" if pd.api.types.is_float_dtype(column) else "category"


def check_table(table: pd.DataFrame, features: tuple[Feature, ...]) -> pd.DataFrame:
    """The features' columns of a table; raises BadRequest where they cannot be had from it."""
    missing = [feature.name for feature in features if feature.name not in table.columns]
    if missing:
        shown = ", ".join(missing[:_MOST_LISTED])
        raise BadRequest(
            f"The background lacks {len(missing)} of the model's features: {shown}; take it from "
            "the table that the model was trained on"
        )
    for feature in features:
        if feature.numeric:
            _check_numbers(table[feature.name], feature)
    return table[[feature.name for feature in features]].reset_index(drop=True)


def _check_numbers(column: pd.Series, feature: Feature) -> None:
    present = column.dropna()
    wrong = pd.to_numeric(present, errors="coerce").isna()
    if wrong.any():
        at = int(np.flatnonzero(column.index == wrong.idxmax())[0])
        raise BadRequest(
            f'The background has the text "{column.iloc[at]}" in row {at} of {feature.name}, '
            "which takes numbers"
        )


def frame_of(columns: Sequence[Sequence[Any]], features: tuple[Feature, ...]) -> pd.DataFrame:
    """Values that fit the features, by feature, in their types; null is a missing value."""
    index = pd.RangeIndex(len(columns[0]))
    arrays: dict[int, Any] = {}
    for at, (values, feature) in enumerate(zip(columns, features, strict=True)):
        if feature.numeric:
            kept = type(values[0]) in _TYPES[feature.kind] and len(set(map(type, values))) == 1
            arrays[at] = np.array(values, dtype=_DTYPES[feature.kind] if kept else np.float64)
        else:
            arrays[at] = pd.Series(list(values), index=index, dtype=object)
    made = pd.DataFrame(arrays, index=index, copy=False)
    made.columns = pd.Index([feature.name for feature in features])
    return made


def cast(frame: pd.DataFrame, features: tuple[Feature, ...]) -> pd.DataFrame:
    """The columns in the order and types of the features; the frame itself where they are so."""
    names = [feature.name for feature in features]
    if list(frame.columns) == names and all(map(_has_type, frame.dtypes.tolist(), features)):
        return frame
    columns = [_cast(frame[feature.name], feature) for feature in features]
    made = pd.DataFrame(dict(enumerate(columns)), index=frame.index, copy=False)
    made.columns = pd.Index(names)
    return made


def _has_type(dtype: Any, feature: Feature) -> bool:
    return bool(dtype == (_DTYPES[feature.kind] if feature.numeric else object))


def _cast(column: pd.Series, feature: Feature) -> pd.Series:
    """Numbers as float64, whole ones as int64 and truth values as bool where none is missing."""
    if not feature.numeric:
        return column if column.dtype == object else column.astype(object)
    if column.dtype == _DTYPES[feature.kind]:
        return column
    values = column.astype(np.float64)
    if feature.kind == "number" or values.isna().any():
        return values
    if feature.kind == "boolean":
        return values.astype(bool) if values.isin((0.0, 1.0)).all() else values
    return values.astype(np.int64) if (values % 1 == 0).all() else values


_DTYPES = {"number": np.float64, "integer": np.int64, "boolean": np.bool_}
_TYPES = {"number": (float,), "integer": (int,), "boolean": (bool,)}

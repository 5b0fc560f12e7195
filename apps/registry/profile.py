"""Profiles of a sample: a histogram per number, frequencies per category. Pure functions."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

_MOST_CATEGORIES = 50
_MOST_BINS = 30
_FEW_VALUES = 10
_INTEGER_LIMIT = 2.0**63


@dataclass(frozen=True, slots=True)
class Profile:
    """`features` describes the columns for metadata.json, `content` their distributions."""

    rows: int
    features: list[dict[str, Any]]
    content: dict[str, Any]
    example: dict[str, Any]


def profile(frame: pd.DataFrame, *, without: str = "") -> Profile:
    """The profile of all columns but `without`, which is the target.

    Numbers get equal-width bins: one per value where there are at most 10 values, else
    min(30, ⌈log2 n + 1⌉) (Sturges 1926).
    """
    frame = frame.drop(columns=[without]) if without in frame.columns else frame
    features, contents = [], []
    for name in frame.columns:
        feature, content = _describe(str(name), frame[name])
        features.append(feature)
        contents.append(content)
    first = {f["name"]: _native(frame[f["name"]].iloc[0]) for f in features}
    return Profile(len(frame), features, {"rows": len(frame), "features": contents}, first)


def _describe(name: str, column: pd.Series) -> tuple[dict[str, Any], dict[str, Any]]:
    missing = int(column.isna().sum())
    present = column.dropna()
    base: dict[str, Any] = {"name": name}
    if missing:
        base["nullable"] = True
    if present.empty:
        return base | {"type": "any"}, _frequencies(name, present, missing)
    if pd.api.types.is_bool_dtype(present):
        return base | {"type": "boolean"}, _frequencies(name, present, missing)
    if pd.api.types.is_numeric_dtype(present):
        whole = bool((present == present.round()).all() and (present.abs() < _INTEGER_LIMIT).all())
        feature = base | {
            "type": "integer" if whole else "number",
            "observedMin": _native(present.min()),
            "observedMax": _native(present.max()),
            "observedMean": round(float(present.mean()), 5),
        }
        return feature, _histogram(name, present.to_numpy(dtype=float), missing)
    content = _frequencies(name, present.astype(str), missing)
    if present.nunique() > _MOST_CATEGORIES:
        return base | {"type": "text"}, content
    return base | {"type": "category", "categories": sorted(present.astype(str).unique())}, content


def _histogram(name: str, values: np.ndarray, missing: int) -> dict[str, Any]:
    distinct = np.unique(values)
    bins = len(distinct)
    if bins > _FEW_VALUES:
        bins = min(_MOST_BINS, math.ceil(math.log2(len(values)) + 1))
    try:
        counts, edges = np.histogram(values, bins=bins)
    except ValueError:  # values too close together for that many bins
        counts, edges = np.array([len(values)]), np.array([values.min(), values.max()])
    return {
        "name": name,
        "kind": "number",
        "missing": missing,
        "edges": edges.tolist(),
        "counts": counts.tolist(),
    }


def _frequencies(name: str, values: pd.Series, missing: int) -> dict[str, Any]:
    counts = values.value_counts().head(_MOST_CATEGORIES)
    content = {
        "name": name,
        "kind": "category",
        "missing": missing,
        "categories": [str(value) for value in counts.index],
        "counts": [int(count) for count in counts],
    }
    other = len(values) - int(counts.sum())
    return content | {"other": other} if other else content


def _native(value: Any) -> Any:
    """A Python value that JSON can hold; whole floats stay floats."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value

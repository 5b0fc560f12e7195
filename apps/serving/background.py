"""The rows that explanations are measured against: read from a file, thinned by a seed."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest, LoadError
from apps.serving.explainers.base import Background
from apps.serving.explainers.subject import Subject
from apps.serving.loaders.base import first_line
from apps.serving.spec import Explaining

_PARQUET = b"PAR1"
_SEPARATORS = ",;\t|"
SAMPLINGS = ("sample", "kmeans")


@dataclass(frozen=True, slots=True)
class Sample:
    """A background with the number of rows that it was drawn from."""

    background: Background
    of: int


def read_table(path: Path) -> pd.DataFrame:
    """The table in a CSV or Parquet file, text as objects. Raises LoadError."""
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET
        frame = pd.read_parquet(path) if is_parquet else _read_csv(path)
    except ImportError:
        raise LoadError(
            "The background is a Parquet file, which the packages of this model cannot read; give "
            "it as CSV"
        ) from None
    except (OSError, ValueError) as error:
        raise LoadError(f"The background cannot be read: {first_line(error)}") from None
    if frame.empty:
        raise LoadError("The background has no rows; choose reference data with some hundred")
    frame.columns = pd.Index([str(name) for name in frame.columns])
    return frame.reset_index(drop=True)


def _read_csv(path: Path) -> pd.DataFrame:
    """By the separator that the header holds most of, and decimal commas where all have these."""
    text = path.read_text(encoding="utf-8-sig")
    counts = Counter(text.partition("\n")[0])
    separator = max(_SEPARATORS, key=lambda each: counts[each])
    frame = pd.read_csv(io.StringIO(text), sep=separator)
    if separator != "," and any(_has_decimal_commas(frame[name]) for name in frame.columns):
        return pd.read_csv(io.StringIO(text), sep=separator, decimal=",")
    return frame


def _has_decimal_commas(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column):
        return False
    values = column.dropna().astype(str).str.strip()
    are_numbers = values.str.fullmatch(r"[+-]?\d+(,\d+)?(e[+-]?\d+)?", case=False)
    return bool(len(values) and are_numbers.all() and values.str.contains(",").any())


def sample_of(table: pd.DataFrame, subject: Subject, explaining: Explaining) -> Sample:
    """The background of a table: its features, thinned, with what is known to be true.

    Raises BadRequest naming columns that are missing or hold text for numbers, LoadError for
    settings that cannot be had.
    """
    frame = subject.table(table)
    if not len(frame.columns):
        raise LoadError("The model takes tensors, not features; it is explained without background")
    truth = _truth(table, subject, explaining.target)
    if len(frame) > explaining.rows:
        kept = _rows(frame, subject, explaining)
        frame = frame.iloc[kept].reset_index(drop=True)
        truth = None if truth is None else truth[kept]
    return Sample(Background.of(frame, truth), len(table))


def _truth(table: pd.DataFrame, subject: Subject, name: str) -> np.ndarray | None:
    """The column named, or the only one beside the features where its values can be answers."""
    if name:
        if name not in table.columns:
            raise LoadError(f"The background has no column {name}, which is to hold the truth")
        return table[name].to_numpy()
    beside = [each for each in table.columns if each not in subject.names]
    if len(beside) != 1 or table[beside[0]].isna().any():
        return None
    column = table[beside[0]]
    if not subject.classes:
        return column.to_numpy(dtype=float) if pd.api.types.is_numeric_dtype(column) else None
    try:
        for label in column.unique().tolist():
            subject.index_of(label)
    except BadRequest:
        return None
    return column.to_numpy()


def _rows(frame: pd.DataFrame, subject: Subject, explaining: Explaining) -> np.ndarray:
    """The positions of the rows that are kept, in their order."""
    if explaining.sampling == "kmeans":
        return _nearest_to_centres(frame, subject, explaining)
    random = np.random.default_rng(explaining.seed)
    return np.sort(random.choice(len(frame), explaining.rows, replace=False))


def _nearest_to_centres(
    frame: pd.DataFrame, subject: Subject, explaining: Explaining
) -> np.ndarray:
    """Rows that stand for clusters: real ones, so that every value is one that occurs."""
    try:
        from sklearn.cluster import KMeans
        from sklearn.metrics import pairwise_distances_argmin
    except ImportError:
        raise LoadError(
            "The packages of this model have no scikit-learn for k-means; draw a sample instead"
        ) from None
    codes = _coded(frame, subject.features)
    clusters = KMeans(explaining.rows, random_state=explaining.seed, n_init=1).fit(codes)
    return np.unique(pairwise_distances_argmin(clusters.cluster_centers_, codes))


def _coded(frame: pd.DataFrame, features: tuple[Any, ...]) -> np.ndarray:
    """Numbers on one scale, categories as columns of 0 and 1."""
    parts = []
    for feature in features:
        column = frame[feature.name]
        if not feature.numeric:
            parts.append(pd.get_dummies(column.astype(str)).to_numpy(dtype=float))
            continue
        values = column.astype(float)
        spread = float(values.std()) or 1.0
        scaled = (values - float(values.mean())) / spread
        parts.append(scaled.fillna(0.0).to_numpy(dtype=float).reshape(-1, 1))
    return np.hstack(parts)

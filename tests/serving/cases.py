"""A trained model with its questions and the answers of plain Python, and a table to train on."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

CITIES = ["Ede", "Goor", "Urk"]
PROBABILITIES = "classificationWithProbabilities"


@dataclass(frozen=True)
class Fitted:
    """`instances` as a client sends them, `expected` as the library itself answers them.

    `tolerance` is the most that an answer may differ: single precision sums a row alone and a row
    among others in another order.
    """

    model: Any
    instances: list[Any]
    expected: Any
    metadata: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-12


def table(rows: int = 80, seed: int = 7) -> pd.DataFrame:
    """Columns of every type that a feature can have, without gaps."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "income": random.normal(2000, 500, rows).round(2),
            "age": random.integers(18, 80, rows),
            "city": np.array(CITIES, dtype=object)[random.integers(0, 3, rows)],
            "owner": random.random(rows) < 0.5,
        }
    )


FEATURES: list[dict[str, Any]] = [
    {"name": "income", "type": "number"},
    {"name": "age", "type": "integer"},
    {"name": "city", "type": "category"},
    {"name": "owner", "type": "boolean"},
]


def nullable(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [feature | {"nullable": True} for feature in features]


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """Each column with every fifth value missing, in the types that pandas gives them then."""
    gaps = frame.astype({"age": float, "owner": float})
    for offset, name in enumerate(gaps.columns):
        gaps.loc[offset::5, name] = np.nan
    return gaps


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON objects, null where a value is missing."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): _sent(str(name), value) for name, value in row.items()} for row in rows]


def _sent(name: str, value: Any) -> Any:
    """The value as a client sends it, who does not know that gaps made floats of the column."""
    value = value.item() if hasattr(value, "item") else value
    kind = {"owner": bool, "age": int}.get(name)
    return value if kind is None or value is None else kind(value)


def outcome(frame: pd.DataFrame) -> np.ndarray:
    """A target that depends on all columns."""
    score = frame["income"] / 1000 + frame["age"] / 40 + frame["owner"] + (frame["city"] == "Urk")
    return (score > score.median()).to_numpy().astype(int)


def thirds(frame: pd.DataFrame) -> np.ndarray:
    """Three classes, 0 to 2."""
    return np.asarray(pd.qcut(frame["income"], 3, labels=False))

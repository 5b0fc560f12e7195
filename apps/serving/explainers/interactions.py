"""How far pairs of features act together, beyond what each does alone.

Friedman's H of pairs (Friedman and Popescu, "Predictive learning via rule ensembles", 2008,
equation 44), of any model: the part of a pair's partial dependence that is not the sum of those of
its features, as a share of the pair's variance. Beside it that part's own size, the root of the
numerator's mean, in the unit of the score: H alone makes much of pairs that hardly count (Inglis,
Parnell and Hurley, "Visualizing variable importance and variable interaction effects in machine
learning models", 2022). Rows in, a frozen dataclass out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Budget
from apps.serving.explainers.tabular import check_names

Array = np.ndarray
_FEWEST_ROWS = 10
_CHUNK = 20_000
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Interactions:
    """One entry for each pair of `features`: `sizes` in `unit`, `shares` from 0 to 1."""

    features: tuple[str, ...]
    label: Any
    unit: str
    sizes: dict[tuple[str, str], float]
    shares: dict[tuple[str, str], float]
    rows: int

    def as_json(self) -> dict[str, Any]:
        pairs = [
            {"features": list(pair), "size": size, "share": self.shares[pair]}
            for pair, size in self.sizes.items()
        ]
        return {
            "unit": self.unit,
            "class": self.label,
            "features": list(self.features),
            "pairs": pairs,
            "rows": self.rows,
        }


def interactions(
    subject: Any, frame: pd.DataFrame, features: Sequence[str], budget: Budget
) -> Interactions:
    """Of all pairs of `features`, on raw rows as `Subject.table` gives them.

    The model is asked about at most rows² rows for each feature and each pair. Where no class is
    fixed, the one that the rows get most often is explained.
    """
    if len(frame) < _FEWEST_ROWS:
        raise BadRequest(f"Interactions need at least {_FEWEST_ROWS} rows")
    names = check_names(features, subject.names, "features")
    if len(names) < 2:
        raise BadRequest("Interactions are those of pairs: name two features or more")
    if subject.target is None:
        budget.spend(len(frame))
        common = np.bincount(subject.outputs(frame).argmax(axis=1)).argmax()
        subject = subject.towards(int(common))
    frame = frame.reset_index(drop=True)
    alone = {name: _dependence(subject, frame, [name], budget) for name in names}
    sizes, shares = {}, {}
    for one, two in combinations(names, 2):
        both = _dependence(subject, frame, [one, two], budget)
        rest = both - alone[one] - alone[two]
        scale = max(np.abs(part).max() for part in (both, alone[one], alone[two]))
        rest[np.abs(rest) <= _NOISE * scale] = 0.0
        sizes[one, two] = float(np.sqrt(np.mean(rest**2)))
        whole = float(np.sum(both**2))
        shares[one, two] = min(float(np.sum(rest**2)) / whole, 1.0) if whole else 0.0
    return Interactions(tuple(names), subject.class_label, subject.unit, sizes, shares, len(frame))


def _dependence(subject: Any, frame: pd.DataFrame, names: list[str], budget: Budget) -> Array:
    """Partial dependence at each row's own values of `names`, centred: (rows,)."""
    place = frame.groupby(names, dropna=False, sort=False).ngroup().to_numpy()
    first = np.unique(place, return_index=True)[1]
    rows = np.tile(np.arange(len(frame)), len(first))
    changed = frame.iloc[rows].reset_index(drop=True)
    points = frame.iloc[np.repeat(first, len(frame))].reset_index(drop=True)
    changed[names] = points[names]
    scores = np.concatenate(
        [
            _scores(subject, changed.iloc[start : start + _CHUNK].reset_index(drop=True), budget)
            for start in range(0, len(changed), _CHUNK)
        ]
    )
    averages = scores.reshape(len(first), len(frame)).mean(axis=1)[place]
    centred: Array = averages - averages.mean()
    return centred


def _scores(subject: Any, frame: pd.DataFrame, budget: Budget) -> Array:
    budget.spend(len(frame))
    return np.asarray(subject.scores(frame), dtype=np.float64)

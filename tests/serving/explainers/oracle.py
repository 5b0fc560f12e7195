"""Shapley values from their definition, by adding up all subsets of features."""

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd

Score = Callable[[pd.DataFrame], np.ndarray]


def shapley(score: Score, row: pd.DataFrame, background: pd.DataFrame) -> np.ndarray:
    """Of one row: a feature that is not in a subset takes the value of each background row."""
    names = list(row.columns)
    worth = {
        subset: _worth(score, row, background, subset)
        for size in range(len(names) + 1)
        for subset in combinations(names, size)
    }
    return np.array([_share(worth, name, names) for name in names])


def _worth(
    score: Score, row: pd.DataFrame, background: pd.DataFrame, subset: tuple[str, ...]
) -> float:
    mixed = background.copy()
    for name in subset:
        mixed[name] = pd.Series([row[name].iloc[0]] * len(mixed), dtype=row[name].dtype)
    return float(score(mixed).mean())


def _share(worth: dict[tuple[str, ...], float], name: str, names: list[str]) -> float:
    others, total = [each for each in names if each != name], 0.0
    for size in range(len(others) + 1):
        weight = factorial(size) * factorial(len(names) - size - 1) / factorial(len(names))
        for subset in combinations(others, size):
            joined = tuple(each for each in names if each in {*subset, name})
            total += weight * (worth[joined] - worth[subset])
    return total

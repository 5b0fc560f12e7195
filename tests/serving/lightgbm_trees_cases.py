"""LightGBM models of six features whose trees decide in every way that the library knows."""

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from tests.serving.cases import PROBABILITIES, Fitted, records

NAMES = ["a", "b", "c", "d", "e", "f"]
LETTERS = list("pqrstuvwxyz")


def _text(fitted: Fitted, path: Path) -> None:
    fitted.model.save_model(str(path))


FORMATS = {"lightgbm-text": _text}


def _numbers(rows: int = 400) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(3).normal(size=(rows, 6)), columns=NAMES)


def _gaps(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.mask(np.random.default_rng(4).random(frame.shape) < 0.15)


def _zeros(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.mask(np.random.default_rng(5).random(frame.shape) < 0.25, 0.0)


def _wins(frame: pd.DataFrame) -> np.ndarray:
    clean = frame.fillna(1.1)
    score = clean["a"] * clean["e"] + clean["b"] - clean["c"] * (clean["f"] > 0)
    return (score > score.median()).to_numpy().astype(int)


def _trained(frame: Any, target: Any, rounds: int = 12, **options: Any) -> lgb.Booster:
    settings = {"verbose": -1, "num_leaves": 9, "min_data_in_leaf": 3, "num_threads": 1, "seed": 1}
    data = lgb.Dataset(frame, target, categorical_feature=options.pop("codes", "auto"))
    return lgb.train({"objective": "binary"} | settings | options, data, rounds)


def _asked(model: lgb.Booster, rows: pd.DataFrame, **metadata: Any) -> Fitted:
    features = [{"name": name, "type": "number", "nullable": True} for name in NAMES]
    problem = {"problemType": PROBABILITIES, "features": features}
    return Fitted(model, records(rows.head(14)), [], problem | metadata)


def numbers() -> Fitted:
    frame = _numbers()
    return _asked(_trained(frame, _wins(frame)), frame)


def gaps() -> Fitted:
    frame = _gaps(_numbers())
    return _asked(_trained(frame, _wins(frame)), frame)


def gaps_that_training_had_not() -> Fitted:
    frame = _numbers()
    return _asked(_trained(frame, _wins(frame)), _gaps(frame))


def gaps_that_count_as_zero() -> Fitted:
    frame = _gaps(_zeros(_numbers()))
    return _asked(_trained(frame, _wins(frame), use_missing=False), frame)


def letters() -> Fitted:
    """Sets of categories, with gaps."""
    frame = _gaps(_numbers())
    random = np.random.default_rng(6)
    drawn = np.array(LETTERS, dtype=object)[random.integers(0, 11, len(frame))]
    odd = np.isin(drawn, list("psvxz"))
    frame["b"] = pd.Categorical(drawn, LETTERS)
    frame.loc[random.random(len(frame)) < 0.15, "b"] = np.nan
    wins = (odd ^ (frame["a"].fillna(0.3) > 0)).to_numpy().astype(int)
    model = _trained(frame, wins, min_data_per_group=5, cat_smooth=1, max_cat_to_onehot=3)
    kinds = [
        {"name": name, "type": "category", "categories": LETTERS, "nullable": True}
        if name == "b"
        else {"name": name, "type": "number", "nullable": True}
        for name in NAMES
    ]
    return _asked(model, frame, features=kinds)


def codes() -> Fitted:
    """Categories as plain numbers, asked for fractions, negative and unknown ones too."""
    frame = _numbers()
    drawn = np.random.default_rng(7).integers(0, 40, len(frame))
    frame["b"] = drawn.astype(float)
    wins = (np.isin(drawn % 7, (1, 4)) ^ (frame["a"] > 0)).to_numpy().astype(int)
    model = _trained(frame, wins, codes=["b"], min_data_per_group=5, cat_smooth=1)
    asked = frame.head(14).copy()
    asked["b"] = [0.0, 1.0, 4.0, 4.7, 8.0, -0.5, -1.0, -3.0, 31.0, 32.0, 39.0, 400.0, 1e12, np.nan]
    return _asked(model, asked)


def three_classes() -> Fitted:
    frame = _gaps(_numbers())
    third = pd.qcut(frame["a"].fillna(0) + frame["b"].fillna(1), 3, labels=False)
    return _asked(_trained(frame, third, objective="multiclass", num_class=3), frame)


def values() -> Fitted:
    frame = _gaps(_numbers())
    model = _trained(frame, frame["a"].fillna(2) * 3 + frame["c"].fillna(1), objective="regression")
    return _asked(model, frame, problemType="regression")


def averaged() -> Fitted:
    """A random forest, whose trees are averaged."""
    frame = _gaps(_numbers())
    bagged = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    return _asked(_trained(frame, _wins(frame), **bagged), frame)


def dropped() -> Fitted:
    frame = _gaps(_numbers())
    return _asked(_trained(frame, _wins(frame), boosting="dart", drop_rate=0.5), frame)


def zeros_taken_for_gaps() -> Fitted:
    frame = _zeros(_numbers())
    return _asked(_trained(frame, _wins(frame), zero_as_missing=True), frame)


def linear_leaves() -> Fitted:
    frame = _numbers()
    model = _trained(frame, frame["a"] * 3, objective="regression", linear_tree=True)
    return _asked(model, frame, problemType="regression")


CASES = (
    numbers,
    gaps,
    gaps_that_training_had_not,
    gaps_that_count_as_zero,
    letters,
    codes,
    three_classes,
    values,
    averaged,
    dropped,
    zeros_taken_for_gaps,
    linear_leaves,
)

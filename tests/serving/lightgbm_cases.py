"""LightGBM models as people bring them; runs in the environment of LightGBM."""

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from tests.serving.cases import (
    CITIES,
    FEATURES,
    PROBABILITIES,
    Fitted,
    nullable,
    outcome,
    records,
    table,
    thirds,
    with_gaps,
)

NUMBERS = ["income", "age", "owner"]
NUMERIC = [feature for feature in FEATURES if feature["name"] != "city"]
KNOWN = [f | {"categories": CITIES} if f["name"] == "city" else f for f in FEATURES]


def _text(fitted: Fitted, path: Path) -> None:
    fitted.model.save_model(str(path))


FORMATS = {"lightgbm-text": _text}


def _trained(frame: Any, target: Any, rounds: int = 9, **options: Any) -> lgb.Booster:
    settings = {"verbose": -1, "num_leaves": 7, "min_data_in_leaf": 3, "num_threads": 1, "seed": 1}
    return lgb.train(settings | options, lgb.Dataset(frame, target), rounds)


def _asked(model: lgb.Booster, frame: pd.DataFrame, **metadata: Any) -> Fitted:
    rows = frame.head(12)
    raw = np.asarray(model.predict(rows))
    problem = metadata.setdefault("problemType", PROBABILITIES)
    if problem != "regression" and raw.ndim == 1:
        raw = np.column_stack([1 - raw, raw])
    expected = raw.argmax(axis=1) if problem == "classification" else raw
    return Fitted(model, records(rows), expected, {"features": NUMERIC} | metadata)


def two_classes() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_trained(frame, outcome(table()), objective="binary"), frame)


def class_numbers() -> Fitted:
    frame = table()[NUMBERS]
    model = _trained(frame, thirds(table()), objective="multiclass", num_class=3)
    return _asked(model, frame, problemType="classification")


def three_classes() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_trained(frame, thirds(table()), objective="multiclass", num_class=3), frame)


def regression() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_trained(frame, table()["income"] / 7), frame, problemType="regression")


def counts_by_poisson() -> Fitted:
    frame = table()[NUMBERS]
    model = _trained(frame, table()["age"], objective="poisson")
    return _asked(model, frame, problemType="regression")


def without_names() -> Fitted:
    values = table()[NUMBERS].to_numpy(dtype=float)
    model = _trained(values, outcome(table()), objective="binary")
    chance = np.asarray(model.predict(values[:12]))
    return Fitted(model, values[:12].tolist(), np.column_stack([1 - chance, chance]))


def missing_values() -> Fitted:
    gaps = with_gaps(table())[NUMBERS]
    model = _trained(gaps, outcome(table()), objective="binary")
    return _asked(model, gaps, features=nullable(NUMERIC))


def categories() -> Fitted:
    frame = table().astype({"city": pd.CategoricalDtype(CITIES)})
    model = _trained(frame, outcome(table()), objective="binary", min_data_per_group=5)
    return _asked(model, frame, features=KNOWN)


def categories_with_gaps() -> Fitted:
    frame = with_gaps(table()).astype({"city": pd.CategoricalDtype(CITIES)})
    model = _trained(frame, outcome(table()), objective="binary", min_data_per_group=5)
    return _asked(model, frame, features=nullable(KNOWN))


def categories_that_no_tree_uses() -> Fitted:
    frame = table().assign(city="Urk").astype({"city": pd.CategoricalDtype(CITIES)})
    model = _trained(frame, outcome(table()), objective="binary")
    return _asked(model, frame, features=KNOWN)


CASES = (
    two_classes,
    class_numbers,
    three_classes,
    regression,
    counts_by_poisson,
    without_names,
    missing_values,
    categories,
    categories_with_gaps,
    categories_that_no_tree_uses,
)

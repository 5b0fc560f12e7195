"""XGBoost models of every kind that people bring, saved with `save_model`."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost

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


def _saved(model: Any, path: Path) -> None:
    model.save_model(path)


FORMATS = {"xgboost-json": _saved, "xgboost-ubj": _saved}


def _asked(model: Any, frame: pd.DataFrame, **metadata: Any) -> Fitted:
    rows = frame.head(12)
    probabilities = metadata.setdefault("problemType", PROBABILITIES) == PROBABILITIES
    expected = model.predict_proba(rows) if probabilities else model.predict(rows)
    return Fitted(model, records(rows), expected, {"features": NUMERIC} | metadata)


def _classifier(**options: Any) -> xgboost.XGBClassifier:
    return xgboost.XGBClassifier(n_estimators=9, max_depth=3, n_jobs=1, **options)


def _regressor(**options: Any) -> xgboost.XGBRegressor:
    return xgboost.XGBRegressor(n_estimators=9, max_depth=3, n_jobs=1, **options)


def two_classes() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_classifier().fit(frame, outcome(table())), frame)


def two_classes_on_an_array() -> Fitted:
    values = table()[NUMBERS].to_numpy(dtype=float)
    model = _classifier().fit(values, outcome(table()))
    return Fitted(model, values[:12].tolist(), model.predict_proba(values[:12]))


def three_classes() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_classifier().fit(frame, thirds(table())), frame)


def class_numbers_of_two() -> Fitted:
    frame = table()[NUMBERS]
    model = _classifier().fit(frame, outcome(table()))
    return _asked(model, frame, problemType="classification")


def class_numbers_of_three() -> Fitted:
    frame = table()[NUMBERS]
    model = _classifier().fit(frame, thirds(table()))
    return _asked(model, frame, problemType="classification")


def regression() -> Fitted:
    frame = table()[NUMBERS]
    model = _regressor().fit(frame, table()["income"] / 7)
    return _asked(model, frame, problemType="regression")


def regression_of_several_targets() -> Fitted:
    frame = table()[NUMBERS]
    targets = np.column_stack([table()["income"] / 3, table()["age"] * 1.1])
    return _asked(_regressor().fit(frame, targets), frame, problemType="regression")


def counts_by_poisson() -> Fitted:
    frame = table()[NUMBERS]
    model = _regressor(objective="count:poisson").fit(frame, table()["age"])
    return _asked(model, frame, problemType="regression")


def missing_values() -> Fitted:
    gaps = with_gaps(table())[NUMBERS]
    model = _classifier().fit(gaps, outcome(table()))
    return _asked(model, gaps, features=nullable(NUMERIC))


def native_categories() -> Fitted:
    frame = table().astype({"city": pd.CategoricalDtype(CITIES)})
    model = _classifier(enable_categorical=True).fit(frame, outcome(table()))
    return _asked(model, frame, features=KNOWN)


def native_categories_with_gaps() -> Fitted:
    frame = with_gaps(table()).astype({"city": pd.CategoricalDtype(CITIES)})
    model = _classifier(enable_categorical=True).fit(frame, outcome(table()))
    return _asked(model, frame, features=nullable(KNOWN))


def native_categories_named_in_another_order() -> Fitted:
    """The metadata lists the categories otherwise than the training table did."""
    frame = table().astype({"city": pd.CategoricalDtype(CITIES)})
    model = _classifier(enable_categorical=True).fit(frame, outcome(table()))
    turned = [f | {"categories": CITIES[::-1]} if f["name"] == "city" else f for f in FEATURES]
    return _asked(model, frame, features=turned)


def whole_numbers_as_categories() -> Fitted:
    kind = pd.CategoricalDtype([10, 20, 30])
    frame = table().assign(city=(np.arange(80) % 3 + 1) * 10).astype({"city": kind})
    model = _classifier(enable_categorical=True).fit(frame, outcome(table()))
    known = [f | {"categories": [10, 20, 30]} if f["name"] == "city" else f for f in FEATURES]
    return _asked(model, frame, features=known)


def training_that_stopped_early() -> Fitted:
    """The library answers with the best iteration's trees, not with all of them."""
    frame, noise = table()[NUMBERS], np.random.default_rng(0).permutation(outcome(table()))
    model = xgboost.XGBClassifier(n_estimators=40, early_stopping_rounds=5, n_jobs=1)
    model.fit(frame, outcome(table()), eval_set=[(frame, noise)], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return _asked(model, frame)


def dropped_trees() -> Fitted:
    frame = table()[NUMBERS]
    model = _classifier(booster="dart", rate_drop=0.5).fit(frame, outcome(table()))
    return _asked(model, frame)


def a_linear_booster() -> Fitted:
    frame = table()[NUMBERS]
    model = xgboost.XGBRegressor(booster="gblinear", n_estimators=5, n_jobs=1)
    return _asked(model.fit(frame, table()["age"]), frame, problemType="regression")


def several_trees_a_round() -> Fitted:
    frame = table()[NUMBERS]
    model = xgboost.XGBRFClassifier(n_estimators=5, n_jobs=1).fit(frame, outcome(table()))
    return _asked(model, frame)


def a_plain_booster_of_classes() -> Fitted:
    """multi:softmax answers with class numbers."""
    matrix = xgboost.DMatrix(table()[NUMBERS], thirds(table()))
    booster = xgboost.train({"objective": "multi:softmax", "num_class": 3}, matrix, 5)
    rows = table()[NUMBERS].head(12)
    expected = booster.predict(xgboost.DMatrix(rows))
    return Fitted(booster, records(rows), expected, {"features": NUMERIC})


def names_with_spaces_and_accents() -> Fitted:
    names = {"income": "net income (€)", "age": "leeftijd år", "owner": "好"}
    frame = table()[NUMBERS].rename(columns=names)
    features = [feature | {"name": names[feature["name"]]} for feature in NUMERIC]
    return _asked(_classifier().fit(frame, outcome(table())), frame, features=features)


CASES = (
    two_classes,
    two_classes_on_an_array,
    three_classes,
    class_numbers_of_two,
    class_numbers_of_three,
    regression,
    regression_of_several_targets,
    counts_by_poisson,
    missing_values,
    native_categories,
    native_categories_with_gaps,
    native_categories_named_in_another_order,
    whole_numbers_as_categories,
    training_that_stopped_early,
    dropped_trees,
    a_linear_booster,
    several_trees_a_round,
    a_plain_booster_of_classes,
    names_with_spaces_and_accents,
)

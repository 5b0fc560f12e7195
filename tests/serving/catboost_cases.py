"""CatBoost models as people bring them; runs in the environment of CatBoost."""

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd

from tests.serving.cases import (
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
COMMON = {
    "iterations": 9,
    "depth": 3,
    "verbose": 0,
    "allow_writing_files": False,
    "thread_count": 1,
    "random_seed": 1,
}


def _cbm(fitted: Fitted, path: Path) -> None:
    fitted.model.save_model(str(path), format="cbm")


def _json(fitted: Fitted, path: Path) -> None:
    """JSON of a model with categories needs the training table."""
    model = fitted.model
    fitted.model.save_model(str(path), format="json", pool=getattr(model, "trained_on", None))


FORMATS = {"catboost-cbm": _cbm, "catboost-json": _json}


def _classifier(frame: Any, target: Any, **options: Any) -> catboost.CatBoostClassifier:
    model = catboost.CatBoostClassifier(**COMMON)
    model.fit(frame, target, **options)
    model.trained_on = catboost.Pool(frame, target, **options)
    return model


def _asked(model: Any, frame: pd.DataFrame, **metadata: Any) -> Fitted:
    rows = frame.head(12)
    problem = metadata.setdefault("problemType", PROBABILITIES)
    expected = model.predict_proba(rows) if problem == PROBABILITIES else model.predict(rows)
    if problem == "classification":
        expected = np.asarray(expected).reshape(-1)
    return Fitted(model, records(rows), expected, {"features": NUMERIC} | metadata)


def two_classes() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_classifier(frame, outcome(table())), frame)


def labels_as_texts() -> Fitted:
    frame = table()[NUMBERS]
    model = _classifier(frame, np.where(outcome(table()) == 1, "good", "bad"))
    return _asked(model, frame, problemType="classification")


def three_classes() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_classifier(frame, thirds(table())), frame)


def class_numbers_of_three() -> Fitted:
    frame = table()[NUMBERS]
    return _asked(_classifier(frame, thirds(table())), frame, problemType="classification")


def regression() -> Fitted:
    frame = table()[NUMBERS]
    model = catboost.CatBoostRegressor(**COMMON).fit(frame, table()["income"] / 7)
    return _asked(model, frame, problemType="regression")


def regression_of_several_targets() -> Fitted:
    frame = table()[NUMBERS]
    targets = np.column_stack([table()["income"] / 3, table()["age"]])
    model = catboost.CatBoostRegressor(**COMMON, loss_function="MultiRMSE").fit(frame, targets)
    return _asked(model, frame, problemType="regression")


def counts_by_poisson() -> Fitted:
    frame = table()[NUMBERS]
    model = catboost.CatBoostRegressor(**COMMON, loss_function="Poisson")
    return _asked(model.fit(frame, table()["age"]), frame, problemType="regression")


def without_names() -> Fitted:
    values = table()[NUMBERS].to_numpy(dtype=float)
    model = _classifier(values, outcome(table()))
    return Fitted(model, values[:12].tolist(), model.predict_proba(values[:12]))


def missing_values() -> Fitted:
    gaps = with_gaps(table())[NUMBERS]
    return _asked(_classifier(gaps, outcome(table())), gaps, features=nullable(NUMERIC))


def categories() -> Fitted:
    frame = table()
    return _asked(
        _classifier(frame, outcome(frame), cat_features=["city"]), frame, features=FEATURES
    )


def categories_that_are_whole_numbers_and_truths() -> Fitted:
    frame = table()
    model = _classifier(frame, outcome(frame), cat_features=["age", "city", "owner"])
    return _asked(model, frame, features=FEATURES)


CASES = (
    two_classes,
    labels_as_texts,
    three_classes,
    class_numbers_of_three,
    regression,
    regression_of_several_targets,
    counts_by_poisson,
    without_names,
    missing_values,
    categories,
    categories_that_are_whole_numbers_and_truths,
)

"""Curves are those of scikit-learn's inspection, of one and two features, with the row's own."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats.mstats import mquantiles
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import partial_dependence

from apps.serving.errors import LoadError, ModelFailure
from apps.serving.explainers.base import BudgetExceeded
from apps.serving.explainers.dependence import PartialDependence, quantiles
from tests.serving.cases import outcome, table, thirds
from tests.serving.explainers.subjects import (
    background,
    breast_cancer,
    budget,
    german,
    german_xgboost,
    house_prices,
    instances,
    sklearn_subject,
    steady,
)

SEED = 11


def fitted(subject: Any, frame: pd.DataFrame, **settings: Any) -> PartialDependence:
    explainer = PartialDependence(subject, settings, SEED)
    explainer.fit(background(subject, frame))
    return explainer


def inspected(subject: Any, frame: pd.DataFrame, features: Any, **options: Any) -> Any:
    """scikit-learn's own, of a frame whose whole numbers are floats, which it demands."""
    whole = frame.astype(dict.fromkeys(frame.select_dtypes("integer").columns, float))
    return partial_dependence(
        subject.model.native, whole, features, method="brute", kind="both", **options
    )


def test_one_feature_is_as_in_scikit_learn() -> None:
    subject, reference, rest = breast_cancer()
    explainer = fitted(subject, reference, features=["mean texture"], rows=len(reference))
    (answer,) = explainer.explain(instances(rest)[:1], budget())
    theirs = inspected(
        subject, reference, ["mean texture"], grid_resolution=20, response_method="predict_proba"
    )
    (curve,) = answer["curves"]
    np.testing.assert_allclose(curve["grid"], theirs["grid_values"][0], rtol=1e-12)
    np.testing.assert_allclose(curve["average"], theirs["average"][0], atol=1e-12)
    (whole,) = explainer.curves
    np.testing.assert_allclose(whole.individual(1), theirs["individual"][0], atol=1e-12)


def test_two_features_are_as_in_scikit_learn() -> None:
    subject, reference, _ = breast_cancer()
    pair = ["mean texture", "worst area"]
    explainer = fitted(subject, reference, features=[pair], rows=len(reference), pairPoints=6)
    theirs = inspected(subject, reference, pair, grid_resolution=6, response_method="predict_proba")
    (whole,) = explainer.curves
    np.testing.assert_allclose(whole.average(1), theirs["average"][0], atol=1e-12)


def test_categories_and_whole_numbers_through_a_pipeline_are_as_in_scikit_learn() -> None:
    subject, reference, _ = german()
    explainer = fitted(subject, reference, features=["purpose", "age"], rows=len(reference))
    purpose, age = explainer.curves
    grid = list(explainer.coding.values[list(reference.columns).index("purpose")])
    texts = reference.select_dtypes(exclude="number").columns
    own = reference.astype(dict.fromkeys(texts, object))
    theirs = inspected(
        subject,
        own,
        ["purpose"],
        categorical_features=["purpose"],
        custom_values={"purpose": np.array(grid, dtype=object)},
        response_method="predict_proba",
    )
    np.testing.assert_allclose(purpose.average(1), theirs["average"][0], atol=1e-12)
    theirs = inspected(
        subject, own, ["age"], custom_values={"age": age.grid[0]}, response_method="predict_proba"
    )
    np.testing.assert_allclose(age.average(1), theirs["average"][0], atol=1e-12)
    assert all(value == int(value) for value in age.grid[0])


def test_a_regression_is_as_in_scikit_learn() -> None:
    subject, reference, rest = house_prices()
    explainer = fitted(subject, reference, features=["distance"], rows=len(reference))
    (answer,) = explainer.explain(instances(rest)[:1], budget())
    theirs = inspected(subject, reference, ["distance"], grid_resolution=20)
    np.testing.assert_allclose(answer["curves"][0]["average"], theirs["average"][0], atol=1e-9)
    assert answer["unit"] == "EUR thousand"


def test_the_rows_own_curve_is_what_the_model_answers_along_it() -> None:
    subject, reference, rest = german_xgboost()
    row = instances(rest)[0]
    (answer,) = fitted(subject, reference, features=["credit_amount", "housing"]).explain(
        [row], budget()
    )
    for curve in answer["curves"]:
        (name,) = curve["features"]
        asked = [row | {name: value} for value in curve["grid"]]
        served = [each[1] for each in subject.model.predict(asked)]
        np.testing.assert_allclose(curve["individual"], served, atol=1e-12)


@pytest.mark.parametrize("case", [german, breast_cancer])
def test_the_same_request_gives_the_same_bytes(case: Any) -> None:
    subject, reference, rest = case()
    names = list(reference.columns)[:3]
    asked = instances(rest)[:2]
    explainer = fitted(subject, reference, features=names)
    first, second = (json.dumps(steady(explainer.explain(asked, budget()))) for _ in range(2))
    again = fitted(subject, reference, features=names).explain(asked, budget())
    assert first == second == json.dumps(steady(again))


def test_of_three_classes_each_row_has_the_curve_of_its_own() -> None:
    frame = table(200)[["income", "age"]]
    model = RandomForestClassifier(10, random_state=0).fit(frame, thirds(table(200)))
    subject = sklearn_subject(model, {}, frame)
    explainer = fitted(subject, frame, features=["income"])
    for answer in explainer.explain(instances(frame)[:10], budget()):
        assert answer["class"] == int(np.argmax(answer["output"]))
        assert answer["prediction"] == max(answer["output"])


def test_a_constant_model_has_flat_curves() -> None:
    frame = table()[["income", "age"]]
    model = DummyClassifier(strategy="prior").fit(frame, outcome(table()))
    explainer = fitted(sklearn_subject(model, {}, frame), frame)
    (answer,) = explainer.explain(instances(frame)[:1], budget())
    assert {len(set(curve["average"])) for curve in answer["curves"]} == {1}
    assert [curve["features"] for curve in answer["curves"]] == [["income"], ["age"]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"features": ["agee"]}, '"features" names agee'),
        ({"features": [["age", "age"]]}, "pairs of two different names"),
        ({"features": [["age", "housing", "job"]]}, "pairs of two different names"),
        ({"points": 1}, "must be at least 2"),
        ({"percentiles": [0.9, 0.1]}, "percentiles must grow"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadError, match=words):
        PartialDependence(german()[0], settings, SEED)


def test_nan_from_the_model_and_a_spent_budget_give_nothing() -> None:
    frame = table()[["income", "age"]]
    model = RandomForestClassifier(5).fit(frame, outcome(table()))
    explainer = fitted(sklearn_subject(model, {}, frame), frame)
    with pytest.raises(BudgetExceeded):
        explainer.explain(instances(frame)[:1], budget(rows=10))
    model.predict_proba = lambda data: np.full((len(data), 2), np.nan)
    with pytest.raises(ModelFailure, match="NaN or infinity"):
        explainer.explain(instances(frame)[:1], budget())


@pytest.mark.parametrize("rows", [1, 2, 7, 300])
def test_quantiles_are_those_of_scipy(rows: int) -> None:
    values, shares = np.random.default_rng(rows).normal(size=rows), (0.0, 0.05, 0.5, 0.95, 1.0)
    np.testing.assert_array_equal(quantiles(values, shares), mquantiles(values, prob=shares))

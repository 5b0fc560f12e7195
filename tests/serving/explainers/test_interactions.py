"""Interactions are nothing where a model adds up, and what the formula says where it multiplies."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from apps.serving.errors import BadRequest
from apps.serving.explainers.interactions import interactions
from tests.serving.explainers.subjects import budget, sklearn_subject


class Formula(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A model that is a formula of its columns."""

    def __init__(self, formula: Any = None) -> None:
        self.formula = formula

    def fit(self, frame: pd.DataFrame, target: Any) -> "Formula":
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.array(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        a, b, c = np.asarray(frame, dtype=float).T
        return self.formula(a, b, c)


def numbers(rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame(random.normal(size=(rows, 3)), columns=["a", "b", "c"])


def of(formula: Any, frame: pd.DataFrame) -> Any:
    model = Formula(formula).fit(frame, None)
    return interactions(sklearn_subject(model, {}, frame), frame, ["a", "b", "c"], budget())


def test_an_additive_model_has_none() -> None:
    found = of(lambda a, b, c: 2 * a - b**2 + np.sin(c), numbers())
    assert set(found.sizes.values()) == {0.0}
    assert set(found.shares.values()) == {0.0}


def test_a_product_has_what_the_formula_says() -> None:
    """Of a·b the interaction is (a - mean a)(b - mean b), centred."""
    frame = numbers()
    found = of(lambda a, b, c: a * b + c, frame)
    a, b = (frame[name].to_numpy() for name in ("a", "b"))
    both = a * b - np.mean(a * b)
    rest = both - (a - a.mean()) * b.mean() - (b - b.mean()) * a.mean()
    assert found.sizes["a", "b"] == pytest.approx(np.sqrt(np.mean(rest**2)))
    assert found.shares["a", "b"] == pytest.approx(np.sum(rest**2) / np.sum(both**2))
    assert found.shares["a", "b"] > 0.5
    assert (found.sizes["a", "c"], found.sizes["b", "c"]) == (0.0, 0.0)


def test_a_logistic_regression_adds_up_in_log_odds() -> None:
    frame = numbers()
    model = LogisticRegression().fit(frame, frame["a"] + frame["b"] > 0)
    found = interactions(sklearn_subject(model, {}, frame), frame, ["a", "b"], budget())
    assert (found.unit, found.sizes["a", "b"]) == ("log-odds", 0.0)


def test_trees_find_the_pair_that_was_planted() -> None:
    frame = numbers(600)
    target = (frame["a"] * frame["b"] > 0).astype(int)
    model = GradientBoostingClassifier(n_estimators=40, random_state=0).fit(frame, target)
    subject = sklearn_subject(model, {}, frame)
    found = interactions(subject, frame[:40], ["a", "b", "c"], budget())
    assert max(found.sizes, key=lambda pair: found.sizes[pair]) == ("a", "b")
    assert found.shares["a", "b"] > 0.8


def test_of_three_classes_the_most_frequent_is_explained() -> None:
    frame = numbers(90)
    target = pd.cut(frame["a"], [-9, -1, 0.5, 9], labels=["low", "middle", "high"]).astype(str)
    model = RandomForestClassifier(5, random_state=0).fit(frame, target)
    found = interactions(sklearn_subject(model, {}, frame), frame, ["a", "b"], budget())
    assert (found.label, found.unit) == ("middle", "probability")


def test_categories_and_gaps_are_values() -> None:
    frame = numbers().assign(c=["x", "y", None] * 20).astype({"c": object})
    frame.loc[3, "a"] = np.nan

    def formula(rows: pd.DataFrame) -> Any:
        return rows["a"].fillna(0.0).to_numpy() * (rows["c"] == "x").to_numpy()

    class Raw(Formula):
        def predict(self, frame: pd.DataFrame) -> Any:
            return formula(frame)

    model = Raw().fit(frame, None)
    found = interactions(sklearn_subject(model, {}, frame), frame, ["a", "b", "c"], budget())
    assert found.sizes["a", "c"] > 0.1
    assert found.sizes["a", "b"] == 0.0


@pytest.mark.parametrize(
    ("rows", "features", "message"),
    [(5, ["a", "b"], "at least 10 rows"), (60, ["a"], "two features or more")],
)
def test_what_cannot_be_is_refused(rows: int, features: list[str], message: str) -> None:
    frame = numbers(rows)
    model = Formula(lambda a, b, c: a).fit(frame, None)
    with pytest.raises(BadRequest, match=message):
        interactions(sklearn_subject(model, {}, frame), frame, features, budget())

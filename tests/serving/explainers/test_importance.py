"""Importance finds what a known generator used, as scikit-learn does, with honest intervals."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.inspection import permutation_importance as library
from sklearn.linear_model import LinearRegression

from apps.serving.errors import BadRequest, ModelFailure
from apps.serving.explainers.base import BudgetExceeded
from apps.serving.explainers.importance import contribution_importance, permutation_importance
from tests.serving.explainers.subjects import budget, sklearn_subject


@cache
def known() -> tuple[Any, pd.DataFrame, np.ndarray]:
    """Classes that depend on `strong`, less on `weak`, and not on `noise`; rows held out."""
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.normal(size=(1600, 3)), columns=["noise", "weak", "strong"])
    score = 3 * frame["strong"] + frame["weak"] + random.logistic(size=1600)
    target = (score > 0).to_numpy().astype(int)
    model = GradientBoostingClassifier(n_estimators=60, random_state=0)
    model.fit(frame[:800], target[:800])
    held = frame[800:].reset_index(drop=True)
    return sklearn_subject(model, {}, held), held, target[800:]


def test_the_ranking_is_that_of_the_generator() -> None:
    subject, frame, target = known()
    found = permutation_importance(subject, frame, target, budget(), repeats=5, seed=3)
    assert found.as_json()["ranking"] == ["strong", "weak", "noise"]
    assert found.low[2] > 10 * abs(found.values[0])
    assert found.low[1] > found.high[0]
    assert np.all(found.low <= found.values)
    assert np.all(found.values <= found.high)


def test_the_values_are_those_of_scikit_learn_up_to_the_shuffles() -> None:
    subject, frame, target = known()
    ours = permutation_importance(subject, frame, target, budget(), repeats=30, seed=3)
    theirs = library(
        subject.model.native, frame, target, scoring="neg_log_loss", n_repeats=30, random_state=1
    )
    error = 4 * theirs["importances_std"] / np.sqrt(30) + 1e-3
    assert np.all(np.abs(ours.values - theirs["importances_mean"]) < error)


def test_a_linear_model_has_its_closed_form() -> None:
    """Shuffling raises the squared error by 2 * coefficient² * variance."""
    random = np.random.default_rng(4)
    frame = pd.DataFrame(random.normal(size=(4000, 2)), columns=["a", "b"])
    target = 2.0 * frame["a"] - 1.0 * frame["b"]
    subject = sklearn_subject(LinearRegression().fit(frame, target), {}, frame)
    found = permutation_importance(subject, frame, target.to_numpy(), budget(), repeats=10)
    np.testing.assert_allclose(found.values, [8.0, 2.0], rtol=0.06)
    assert found.baseline == pytest.approx(0, abs=1e-12)
    assert found.measure == "squaredError"


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(6)
    covered = 0
    for seed in range(60):
        values = pd.DataFrame({"a": random.exponential(2.0, 200)})
        found = contribution_importance(lambda f: f.to_numpy(), values, ["a"], seed=seed)
        covered += bool(found.low[0] <= 2.0 <= found.high[0])
    assert 52 <= covered <= 60


def test_mean_absolute_contributions_are_what_they_say() -> None:
    frame = pd.DataFrame({"a": [1.0, -3.0] * 10, "b": [0.5, 0.5] * 10})
    found = contribution_importance(lambda rows: rows.to_numpy(), frame, ["a", "b"])
    np.testing.assert_allclose(found.values, [2.0, 0.5])
    assert found.measure == "contribution"
    assert found.low[1] == pytest.approx(0.5)
    assert found.high[1] == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_and_another_differs() -> None:
    subject, frame, target = known()
    one, same, other = (
        permutation_importance(subject, frame, target, budget(), repeats=2, seed=seed).as_json()
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one["features"] != other["features"]


def test_the_index_of_the_rows_does_not_matter() -> None:
    subject, frame, target = known()
    moved = frame.set_index(frame.index + 5000)
    one, other = (
        permutation_importance(subject, rows, target, budget(), repeats=1).as_json()
        for rows in (frame, moved)
    )
    assert one == other


def test_without_actuals_the_models_own_answers_stand_in() -> None:
    subject, frame, _ = known()
    found = permutation_importance(subject, frame, None, budget(), measure="error")
    assert found.baseline == 0
    assert found.as_json()["ranking"][0] == "strong"


def test_values_can_be_measured_by_absolute_error() -> None:
    _, frame, _ = known()
    model = GradientBoostingRegressor(random_state=0).fit(frame, frame["weak"])
    subject = sklearn_subject(model, {}, frame)
    found = permutation_importance(
        subject, frame, frame["weak"].to_numpy(), budget(), measure="absoluteError"
    )
    assert found.as_json()["ranking"][0] == "weak"


def test_what_cannot_be_measured_is_refused_in_words() -> None:
    subject, frame, target = known()
    with pytest.raises(BadRequest, match="no measure auc for this model; it has logLoss, error"):
        permutation_importance(subject, frame, target, budget(), measure="auc")
    with pytest.raises(BadRequest, match="at least 10 rows"):
        permutation_importance(subject, frame.head(5), target[:5], budget())
    with pytest.raises(BadRequest, match="no class maybe"):
        permutation_importance(subject, frame, np.full(800, "maybe"), budget())
    with pytest.raises(BudgetExceeded):
        permutation_importance(subject, frame, target, budget(rows=2000))
    with pytest.raises(ModelFailure, match="hold NaN"):
        contribution_importance(lambda f: f.to_numpy() * np.nan, frame, list(frame.columns))
    with pytest.raises(ModelFailure, match="have the shape"):
        contribution_importance(lambda f: f.to_numpy()[:, :1], frame, list(frame.columns))

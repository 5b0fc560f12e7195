"""The library's own contributions against the definition and the trees' own nodes."""

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from apps.serving.explainers.base import Background
from apps.serving.explainers.native_trees import NativeExplainer
from tests.serving import xgboost_cases
from tests.serving.cases import outcome, table
from tests.serving.explainers import contract
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.contract import explained, ready, shares
from tests.serving.explainers.oracle import shapley

NAMES = list("abcdef")


@cache
def six_features() -> tuple[xgboost.XGBClassifier, pd.DataFrame]:
    """Numbers with gaps in them; single precision holds every value."""
    values = np.random.default_rng(5).normal(size=(400, 6)).astype(np.float32)
    frame = pd.DataFrame(values.astype(np.float64), columns=NAMES)
    frame = frame.mask(np.random.default_rng(6).random(frame.shape) < 0.1)
    goal = frame["a"].fillna(1) * frame["b"].fillna(-1) + frame["c"].fillna(2) > 0.3
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1)
    return model.fit(frame, goal.astype(int)), frame


def test_values_are_those_of_the_definition(subject: Subjects) -> None:
    """On the nodes that the booster writes down: an unknown feature follows the cover."""
    model, frame = six_features()
    made = subject("xgboost", model, {}, frame)
    rows = made.table(frame).iloc[30:33].reset_index(drop=True)
    found = shares(explained(ready("shap.native", made, Background.of(rows)), made.instances(rows)))
    trees = [json.loads(t) for t in made.native.get_dump(dump_format="json", with_stats=True)]
    for at in range(len(rows)):
        expected = by_definition(trees, rows.iloc[at].to_numpy())
        np.testing.assert_allclose(found[at], expected, rtol=0, atol=1e-6)


def by_definition(trees: list[Any], row: np.ndarray) -> np.ndarray:
    zeros = pd.DataFrame(np.zeros((1, 6)), columns=NAMES)

    def score(mixed: pd.DataFrame) -> np.ndarray:
        known = {name for name in NAMES if mixed[name].iloc[0] == 1}
        return np.array([sum(expected(tree, row, known) for tree in trees)])

    return shapley(score, zeros + 1, zeros)


def expected(node: Any, row: np.ndarray, known: set[str]) -> float:
    if "leaf" in node:
        return float(node["leaf"])
    children = {child["nodeid"]: child for child in node["children"]}
    if node["split"] in known:
        value = row[NAMES.index(node["split"])]
        side = "yes" if np.float32(value) < np.float32(node["split_condition"]) else "no"
        return expected(children[node["missing" if np.isnan(value) else side]], row, known)
    total = sum(child["cover"] for child in children.values())
    return sum(c["cover"] * expected(c, row, known) for c in children.values()) / total


@pytest.mark.parametrize("target", [0, 1])
def test_either_class_of_two_is_explained(target: int, subject: Subjects) -> None:
    model, frame = six_features()
    made = subject("xgboost", model, {}, frame)
    rows = made.table(frame).iloc[:5]
    explainer = ready("shap.native", made, Background.of(rows), {"class": target})
    answers = explained(explainer, made.instances(rows))
    margin = model.get_booster().predict(xgboost.DMatrix(frame.iloc[:5]), output_margin=True)
    found = [answer["prediction"] for answer in answers]
    np.testing.assert_allclose(found, margin if target else -margin, atol=1e-5)


def test_of_three_classes_each_row_gets_its_own(subject: Subjects) -> None:
    fitted = contract.fitted_once(xgboost_cases.three_classes)
    made = subject("xgboost", fitted.model, contract.example(fitted))
    background = contract.background_of(made, fitted)
    answers = explained(ready("shap.native", made, background), fitted.instances)
    chosen = [int(np.argmax(each)) for each in fitted.expected]
    assert [answer["class"] for answer in answers] == chosen
    assert len(set(chosen)) == 3
    every = fitted.model.get_booster().predict(
        xgboost.DMatrix(pd.DataFrame(fitted.instances)), pred_contribs=True
    )
    expected_ = [every[row, chosen[row], :-1] for row in range(len(chosen))]
    np.testing.assert_allclose(shares(answers), expected_, atol=1e-6)


def test_only_the_rounds_that_answer_count(subject: Subjects) -> None:
    fitted = contract.fitted_once(xgboost_cases.training_that_stopped_early)
    made = subject("xgboost", fitted.model, contract.example(fitted))
    background = contract.background_of(made, fitted)
    answers = explained(ready("shap.native", made, background), fitted.instances)
    best = fitted.model.predict(pd.DataFrame(fitted.instances), output_margin=True)
    np.testing.assert_allclose([a["prediction"] for a in answers], best, atol=1e-5)


def test_other_libraries_are_told_apart(subject: Subjects) -> None:
    from sklearn.linear_model import LogisticRegression

    frame = table()[["income", "age"]]
    model = LogisticRegression(max_iter=5000, tol=1).fit(frame, outcome(table()))
    made = subject("sklearn", model, {}, frame)
    assert "Only XGBoost" in NativeExplainer.suits(made, None)


INTERVENTIONAL = [
    xgboost_cases.two_classes,
    xgboost_cases.three_classes,
    xgboost_cases.regression,
    xgboost_cases.regression_of_several_targets,
    xgboost_cases.counts_by_poisson,
    xgboost_cases.missing_values,
    xgboost_cases.native_categories,
    xgboost_cases.native_categories_with_gaps,
    xgboost_cases.training_that_stopped_early,
    xgboost_cases.dropped_trees,
    xgboost_cases.several_trees_a_round,
]


@pytest.mark.parametrize("case", INTERVENTIONAL, ids=lambda case: case.__name__)
def test_interventional_values_agree_with_the_exact_explainer(case: Any, subject: Subjects) -> None:
    fitted = contract.fitted_once(case)
    made = subject("xgboost", fitted.model, contract.example(fitted))
    background = contract.background_of(made, fitted)
    ours = explained(ready("shap.interventional", made, background), fitted.instances[:6])
    exact = explained(ready("shap.exact", made, background), fitted.instances[:6])
    scale = max(1.0, *(abs(answer["prediction"]) for answer in exact))
    np.testing.assert_allclose(shares(ours), shares(exact), rtol=0, atol=1e-6 * scale)
    assert [a["baseValue"] for a in ours] == pytest.approx([a["baseValue"] for a in exact])


def test_interventional_values_are_those_of_the_definition(subject: Subjects) -> None:
    model, frame = six_features()
    made = subject("xgboost", model, {}, frame)
    clean = made.table(frame)
    background = Background.of(clean.iloc[:10].reset_index(drop=True))
    rows = clean.iloc[30:33].reset_index(drop=True)
    explainer = ready("shap.interventional", made, background)
    found = shares(explained(explainer, made.instances(rows)))
    for at in range(len(rows)):
        by_hand = shapley(made.scores, rows.iloc[[at]], background.frame)
        np.testing.assert_allclose(found[at], by_hand, rtol=0, atol=1e-6)

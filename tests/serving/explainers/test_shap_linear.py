"""SHAP of linear models against the definition, the exact explainer and the library's own."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from apps.serving.explainers.base import Background
from apps.serving.explainers.shap_linear import LinearExplainer
from apps.serving.explainers.shap_trees import shap_library
from apps.serving.explainers.subject import Subject
from tests.serving.cases import outcome, table, thirds
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.contract import explained, ready, shares
from tests.serving.explainers.oracle import shapley

shap = shap_library()
NUMBERS = ["income", "age", "owner"]


def encoded() -> ColumnTransformer:
    return ColumnTransformer(
        [("city", OneHotEncoder(sparse_output=True), ["city"]), ("rest", StandardScaler(), NUMBERS)]
    )


MODELS = {
    "log-odds": lambda: make_pipeline(encoded(), LogisticRegression()).fit(
        table(), outcome(table())
    ),
    "logit": lambda: make_pipeline(encoded(), LogisticRegression()).fit(table(), thirds(table())),
    "margin": lambda: make_pipeline(encoded(), LinearSVC()).fit(table(), outcome(table())),
    "value": lambda: make_pipeline(encoded(), LinearRegression()).fit(table(), table()["income"]),
    "log of value": lambda: make_pipeline(encoded(), PoissonRegressor()).fit(
        table(), table()["age"]
    ),
}


@pytest.mark.parametrize("unit", MODELS)
def test_values_are_those_of_the_definition(unit: str, subject: Subjects) -> None:
    made = subject("sklearn", MODELS[unit](), {}, table())
    background = Background.of(made.table(table()).iloc[:15])
    rows = made.table(table(seed=8)).iloc[:4]
    answers = explained(ready("shap.linear", made, background), made.instances(rows))
    assert {a["unit"] for a in answers} == {unit}
    for at, answer in enumerate(answers):
        part = made if made.target is not None else made.towards(made.index_of(answer["class"]))
        expected = shapley(part.scores, rows.iloc[[at]], background.frame)
        np.testing.assert_allclose(shares([answer])[0], expected, rtol=0, atol=1e-6 * scale(answer))


def scale(answer: dict[str, Any]) -> float:
    return max(1.0, abs(float(answer["prediction"])))


@pytest.mark.parametrize("unit", MODELS)
def test_values_are_those_of_the_exact_explainer(unit: str, subject: Subjects) -> None:
    made = subject("sklearn", MODELS[unit](), {}, table())
    background = Background.of(made.table(table()))
    rows = made.instances(made.table(table(seed=8)).iloc[:4])
    ours = shares(explained(ready("shap.linear", made, background), rows))
    exact = shares(explained(ready("shap.exact", made, background), rows))
    np.testing.assert_allclose(ours, exact, rtol=1e-6, atol=1e-6)


def test_values_are_the_librarys_own_with_the_whole_background(subject: Subjects) -> None:
    frame = table(rows=300)[NUMBERS].astype(float)
    model = LogisticRegression(max_iter=5000, tol=1).fit(frame, outcome(table(rows=300)))
    made = subject("sklearn", model, {}, frame)
    rows = made.table(frame).iloc[:5]
    ours = shares(
        explained(
            ready("shap.linear", made, Background.of(made.table(frame))), made.instances(rows)
        )
    )
    masker = shap.maskers.Independent(frame, max_samples=len(frame))
    theirs = shap.LinearExplainer(model, masker).shap_values(rows)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (GaussianNB(), "GaussianNB is no linear model"),
        (make_pipeline(PCA(2), LogisticRegression()), "PCA of the pipeline mixes features"),
    ],
)
def test_what_it_does_not_suit_it_says(model: Any, why: str, subject: Subjects) -> None:
    frame = table()[NUMBERS]
    made: Subject = subject("sklearn", model.fit(frame, outcome(table())), {}, frame)
    assert why in LinearExplainer.suits(made, None)


def test_a_feature_that_the_pipeline_drops_counts_nothing(subject: Subjects) -> None:
    keep = ColumnTransformer([("kept", "passthrough", ["income"])])
    model = make_pipeline(keep, LinearRegression()).fit(table()[NUMBERS], table()["age"])
    made = subject("sklearn", model, {"problemType": "regression"}, table()[NUMBERS])
    frame: pd.DataFrame = made.table(table())
    found = explained(ready("shap.linear", made, Background.of(frame)), made.instances(frame[:2]))
    assert [share[1:] for share in shares(found)] == [[0.0, 0.0]] * 2

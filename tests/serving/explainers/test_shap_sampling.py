"""SHAP by asking: exact is the definition, permutations come near it by as much as they say."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Background
from apps.serving.explainers.shap_trees import shap_library
from apps.serving.explainers.subject import Subject
from tests.serving.cases import table
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.contract import as_bytes, explained, ready, shares
from tests.serving.explainers.oracle import shapley

shap = shap_library()
NAMES = list("abcdef")


@pytest.fixture
def network(subject: Subjects) -> tuple[Subject, Background]:
    """A model of six features that nothing can see through."""
    values = np.random.default_rng(1).normal(size=(200, 6))
    frame = pd.DataFrame(values, columns=NAMES)
    goal = frame["a"] * frame["b"] + np.sin(2 * frame["c"]) - frame["d"] * frame["e"] * frame["f"]
    net = MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=30, tol=10, n_iter_no_change=1, random_state=0
    )
    model = make_pipeline(StandardScaler(), net).fit(frame, goal)
    made = subject("sklearn", model, {"problemType": "regression"}, frame)
    return made, Background.of(made.table(frame))


def test_exact_values_are_those_of_the_definition(network: tuple[Subject, Background]) -> None:
    made, background = network
    few = Background.of(background.frame.iloc[:20].reset_index(drop=True))
    rows = background.frame.iloc[50:53].reset_index(drop=True)
    found = shares(explained(ready("shap.exact", made, few), made.instances(rows)))
    for at in range(len(rows)):
        expected = shapley(made.scores, rows.iloc[[at]], few.frame)
        np.testing.assert_allclose(found[at], expected, rtol=0, atol=1e-9)


@pytest.mark.slow  # the library compiles itself first
def test_exact_values_are_the_librarys_own(network: tuple[Subject, Background]) -> None:
    made, background = network
    few = background.frame.iloc[:20].reset_index(drop=True)
    rows = background.frame.iloc[50:53]
    found = shares(explained(ready("shap.exact", made, Background.of(few)), made.instances(rows)))

    def score(values: Any) -> np.ndarray:
        return made.scores(pd.DataFrame(np.asarray(values), columns=NAMES))

    masker = shap.maskers.Independent(few, max_samples=len(few))
    theirs = shap.explainers.Exact(score, masker)(rows).values
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-9)


def test_permutations_come_as_near_as_their_error_says(
    network: tuple[Subject, Background],
) -> None:
    made, background = network
    rows = made.instances(background.frame.iloc[50:70])
    settings = {"permutations": 20, "backgroundRows": 30}
    answers = explained(ready("shap.permutation", made, background, settings), rows)
    exact = shares(explained(ready("shap.exact", made, background, {"backgroundRows": 30}), rows))
    errors = np.array([a["fidelity"]["standardErrors"] for a in answers])
    distances = np.abs(np.array(shares(answers)) - exact)
    within = distances <= 2.1 * errors + 1e-12  # 95 % of a t distribution with 19 degrees
    assert errors.max() > 0
    assert within.mean() > 0.85
    assert answers[0]["fidelity"]["standardError"] == errors[0].max()


def test_more_permutations_bring_it_nearer(network: tuple[Subject, Background]) -> None:
    made, background = network
    rows = made.instances(background.frame.iloc[50:60])
    exact = shares(explained(ready("shap.exact", made, background, {"backgroundRows": 20}), rows))

    def distance(permutations: int) -> float:
        settings = {"permutations": permutations, "backgroundRows": 20}
        found = explained(ready("shap.permutation", made, background, settings), rows)
        return float(np.abs(np.array(shares(found)) - exact).mean())

    assert distance(200) < distance(2) / 3


def test_another_seed_gives_other_numbers_and_the_worlds_generator_is_left_alone(
    network: tuple[Subject, Background],
) -> None:
    made, background = network
    rows = made.instances(background.frame.iloc[:2])
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr] # noqa: NPY002
    first = explained(ready("shap.permutation", made, background, seed=1), rows)
    other = explained(ready("shap.permutation", made, background, seed=2), rows)
    assert as_bytes(first) != as_bytes(other)
    assert (first[0]["seed"], other[0]["seed"]) == (1, 2)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[arg-type] # noqa: NPY002


def test_more_than_ten_features_are_refused_by_exact(subject: Subjects) -> None:
    frame, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    model = GradientBoostingClassifier(n_estimators=3).fit(frame, labels)
    made = subject("sklearn", model, {}, frame)
    with pytest.raises(BadRequest, match="has 30 features; all coalitions are asked up to 10"):
        ready("shap.exact", made, Background.of(made.table(frame.iloc[:5])))


def test_permutations_count_what_they_ask_of_the_model(
    network: tuple[Subject, Background],
) -> None:
    made, background = network
    settings = {"permutations": 2, "backgroundRows": 10}
    answer = explained(
        ready("shap.permutation", made, background, settings),
        made.instances(background.frame.iloc[:1]),
    )[0]
    assert 1 + 2 * 10 <= answer["budget"]["modelRows"] <= 1 + (4 * 5 + 2) * 10
    assert answer["fidelity"]["backgroundRows"] == 10


def test_a_category_is_one_player(subject: Subjects) -> None:
    from tests.serving import sklearn_cases

    fitted = sklearn_cases.one_hot_and_gradient_boosting()
    made = subject("sklearn", fitted.model, fitted.metadata)
    frame = made.table(table())
    background = Background.of(frame.iloc[:15])
    row = frame.iloc[[20]].reset_index(drop=True)
    found = shares(explained(ready("shap.exact", made, background), made.instances(row)))[0]
    expected = shapley(made.scores, row, background.frame.reset_index(drop=True))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)

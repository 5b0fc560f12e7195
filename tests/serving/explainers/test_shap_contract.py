"""Contributions add up, are those of the served model, and come out the same each time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from apps.serving.errors import BadRequest, ModelFailure
from apps.serving.explainers import explainer_class
from apps.serving.explainers.base import Background, Budget, BudgetExceeded
from apps.serving.explainers.contributions import EXACT, SINGLE, ContributionExplainer, Found
from apps.serving.explainers.subject import Subject
from tests.serving import sklearn_cases
from tests.serving.cases import Fitted
from tests.serving.explainers import contract
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.contract import as_bytes, explained, ready, shares, suited

every_model = pytest.mark.parametrize(("framework", "case"), contract.cases())
Asked = tuple[Subject, Background, Fitted]


@pytest.fixture
def asked(framework: str, case: Callable[[], Fitted], subject: Subjects) -> Asked:
    fitted = contract.fitted_once(case)
    made = subject(framework, fitted.model, contract.example(fitted))
    return made, contract.background_of(made, fitted), fitted


@every_model
def test_contributions_add_up_to_the_score(asked: Asked) -> None:
    subject, background, fitted = asked
    rows = fitted.instances[:4]
    methods = suited(subject, background)
    assert "shap.permutation" in methods
    for method in methods:
        for answer in explained(ready(method, subject, background), rows):
            total = answer["baseValue"] + sum(c["contribution"] for c in answer["contributions"])
            scale = max(1.0, abs(answer["prediction"]))
            single = subject.native.__class__.__name__ == "Booster"
            own = method in ("shap.native", "shap.interventional")
            allowed = SINGLE if single and own else EXACT
            assert abs(total - answer["prediction"]) <= allowed * scale, method
            assert answer["fidelity"]["tolerance"] == allowed


@every_model
def test_the_prediction_is_the_served_models(asked: Asked) -> None:
    subject, background, fitted = asked
    rows = fitted.instances[:4]
    for method in suited(subject, background):
        answers = explained(ready(method, subject, background), rows)
        assert [a["output"] for a in answers] == subject.model.predict(rows), method
        frame = subject.frame(rows)
        np.testing.assert_allclose([a["prediction"] for a in answers], subject.scores(frame))


@every_model
def test_the_same_request_gives_the_same_bytes(asked: Asked) -> None:
    subject, background, fitted = asked
    for method in suited(subject, background):
        explainer = ready(method, subject, background)
        first = explained(explainer, fitted.instances[:3])
        again = explained(ready(method, subject, background), fitted.instances[:3])
        assert as_bytes(first) == as_bytes(explained(explainer, fitted.instances[:3])), method
        assert as_bytes(first) == as_bytes(again), method


@every_model
def test_a_row_alone_is_explained_as_among_others(asked: Asked) -> None:
    subject, background, fitted = asked
    for method in suited(subject, background):
        explainer = ready(method, subject, background)
        together = shares(explained(explainer, fitted.instances[:3]))
        alone = [shares(explained(explainer, [row]))[0] for row in fitted.instances[:3]]
        np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6, err_msg=method)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (sklearn_cases.linear_regression, {"shap.linear"}),
        (sklearn_cases.sparse_one_hot_and_logistic, {"shap.linear"}),
        (sklearn_cases.poisson_regression, {"shap.linear"}),
        (sklearn_cases.three_classes, {"shap.tree", "shap.interventional"}),
        (sklearn_cases.one_hot_and_gradient_boosting, {"shap.tree", "shap.interventional"}),
        (sklearn_cases.gaps_that_are_imputed, {"shap.tree", "shap.interventional"}),
        (sklearn_cases.categories_of_pandas, {"shap.tree", "shap.interventional"}),
        (sklearn_cases.a_neural_network, set()),
        (sklearn_cases.a_transformed_target, set()),
        (sklearn_cases.searched_parameters, set()),
    ],
)
def test_each_model_gets_the_methods_that_suit_it(
    case: Any, expected: set[str], subject: Subjects
) -> None:
    fitted = contract.fitted_once(case)
    made = subject("sklearn", fitted.model, contract.example(fitted))
    known = suited(made, contract.background_of(made, fitted))
    assert set(known) == expected | {"shap.exact", "shap.permutation"}


def test_an_unknown_method_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadRequest, match=r"no method shap\.magic; known are .*shap\.linear"):
        explainer_class("shap.magic")


@pytest.fixture
def logistic(subject: Subjects) -> tuple[Subject, Background, Fitted]:
    fitted = contract.fitted_once(sklearn_cases.logistic_on_a_frame)
    made = subject("sklearn", fitted.model, contract.example(fitted))
    return made, contract.background_of(made, fitted), fitted


def test_the_other_class_has_the_opposite_contributions(logistic: Asked) -> None:
    subject, background, fitted = logistic
    first = explained(ready("shap.linear", subject, background, {"class": "0"}), fitted.instances)
    second = explained(ready("shap.linear", subject, background), fitted.instances)
    assert (first[0]["class"], second[0]["class"]) == (0, 1)
    np.testing.assert_allclose(shares(first), -np.array(shares(second)))


def test_an_unknown_setting_or_class_is_refused(logistic: Asked) -> None:
    subject, background, _ = logistic
    with pytest.raises(BadRequest, match=r"shap\.linear has no setting colour; it has class"):
        ready("shap.linear", subject, background, {"colour": "red"})
    with pytest.raises(BadRequest, match="no class 7"):
        ready("shap.linear", subject, background, {"class": 7})
    with pytest.raises(BadRequest, match="permutations must be a whole number from 2"):
        ready("shap.permutation", subject, background, {"permutations": 1})


def test_a_budget_that_runs_out_gives_nothing(logistic: Asked) -> None:
    subject, background, fitted = logistic
    explainer = ready("shap.permutation", subject, background)
    with pytest.raises(BudgetExceeded, match="more than 20 rows"):
        explainer.explain(fitted.instances[:1], Budget(60, rows=20))
    with pytest.raises(BudgetExceeded, match="seconds"):
        explainer.explain(fitted.instances[:1], Budget(0))


class Careless(ContributionExplainer):
    method = "careless"

    def contributions(self, subject: Subject, frame: Any, prepared: Any, budget: Budget) -> Found:
        return Found(np.zeros((len(frame), len(subject.features))), np.full(len(frame), 123.0))


def test_contributions_that_do_not_add_up_are_never_given(logistic: Asked) -> None:
    subject, background, fitted = logistic
    careless = Careless(subject, {}, 0)
    careless.fit(background)
    with pytest.raises(ModelFailure, match="do not add up .* They are not given"):
        careless.explain(fitted.instances[:2], Budget(60))


class Uncertain(Careless):
    def contributions(self, subject: Subject, frame: Any, prepared: Any, budget: Budget) -> Found:
        return Found(np.full((len(frame), len(subject.features)), np.nan), np.zeros(len(frame)))


def test_contributions_that_are_no_numbers_are_never_given(logistic: Asked) -> None:
    subject, _, fitted = logistic
    with pytest.raises(ModelFailure, match="do not add up"):
        Uncertain(subject, {}, 0).explain(fitted.instances[:2], Budget(60))

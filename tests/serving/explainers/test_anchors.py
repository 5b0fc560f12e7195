"""Anchor rules keep what they promise on rows that neither found nor certified them."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.anchors import Anchors, certified
from apps.serving.explainers.base import Background, BudgetExceeded
from apps.serving.explainers.beam import Search, kl_lower_bound, seek
from tests.serving.cases import FEATURES, nullable, outcome, table, with_gaps
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
    transactions,
)

SEED = 11


def fitted(subject: Any, frame: pd.DataFrame, **settings: Any) -> Anchors:
    explainer = Anchors(subject, settings, SEED)
    explainer.fit(background(subject, frame))
    return explainer


def meets(conditions: list[dict[str, Any]], frame: pd.DataFrame) -> np.ndarray:
    """Which rows a rule is about, as a reader of it would say."""
    rows = np.ones(len(frame), dtype=bool)
    for each in conditions:
        column = frame[each["feature"]]
        if each["value"] is None:
            rows &= column.isna()
        elif each["op"] == "=":
            rows &= column == each["value"]
        else:
            rows &= column <= each["value"] if each["op"] == "<=" else column > each["value"]
    return rows


@pytest.mark.parametrize("case", [german, german_xgboost, breast_cancer, transactions])
def test_rules_keep_their_precision_on_a_third_split(case: Any) -> None:
    subject, reference, rest = case()
    explained, third = rest.iloc[::2], rest.iloc[1::2].reset_index(drop=True)
    explainer = fitted(subject, reference)
    answered = subject.outputs(subject.table(third)).argmax(axis=1)
    kept = []
    for answer in explainer.explain(instances(explained)[:60], budget()):
        if answer["rule"]["found"]:
            rows = meets(answer["rule"]["conditions"], third)
            label = subject.index_of(answer["rule"]["keeps"]["class"])
            kept.append(rows.any() and (answered[rows] == label).mean() >= 0.95)
    assert len(kept) >= 10
    assert np.mean(kept) >= 0.85


def test_a_rule_holds_for_the_row_and_says_what_the_reference_says() -> None:
    subject, reference, rest = breast_cancer()
    explainer = fitted(subject, reference)
    certifying = explainer.coding.frame(explainer.codes[explainer.half :])
    answered = subject.outputs(certifying).argmax(axis=1)
    asked = instances(rest)[:20]
    for row, answer in zip(asked, explainer.explain(asked, budget()), strict=True):
        rule = answer["rule"]
        if rule["found"]:
            assert meets(rule["conditions"], pd.DataFrame([row])).all()
            met = meets(rule["conditions"], certifying)
            assert rule["support"] == met.sum()
            assert rule["coverage"] == met.mean()
            label = subject.index_of(rule["keeps"]["class"])
            assert rule["precision"] == (answered[met] == label).mean()
            assert 0.83 <= rule["precisionLowerBound"] <= rule["precision"]


@pytest.mark.parametrize("case", [german, german_xgboost, breast_cancer, house_prices])
def test_the_same_request_gives_the_same_bytes(case: Any) -> None:
    subject, reference, rest = case()
    asked = instances(rest)[:4]
    explainer = fitted(subject, reference)
    first, second = (json.dumps(steady(explainer.explain(asked, budget()))) for _ in range(2))
    assert (
        first == second == json.dumps(steady(fitted(subject, reference).explain(asked, budget())))
    )


def test_no_rule_is_an_answer() -> None:
    subject, reference, rest = german()
    explainer = fitted(subject, reference, threshold=1.0, tolerance=0.0)
    (answer,) = explainer.explain(instances(rest)[:1], budget())
    assert answer["rule"]["found"] is False
    assert answer["rule"]["conditions"] == []
    assert answer["rule"]["precision"] is None


def test_a_constant_model_needs_no_conditions() -> None:
    frame = table(200)[["income", "age"]]
    model = DummyClassifier(strategy="prior").fit(frame, outcome(frame.assign(owner=1, city="x")))
    subject = sklearn_subject(model, {}, frame)
    (answer,) = fitted(subject, frame).explain(instances(frame)[:1], budget())
    assert answer["rule"]["found"] is True
    assert answer["rule"]["conditions"] == []
    assert answer["rule"]["coverage"] == 1


def test_a_class_that_the_reference_lacks_has_no_rule() -> None:
    subject, reference, rest = breast_cancer()
    malignant = subject.outputs(subject.table(reference)).argmax(axis=1) == 0
    benign = rest[subject.outputs(subject.table(rest)).argmax(axis=1) == 1]
    explainer = fitted(subject, reference[malignant])
    (answer,) = explainer.explain(instances(benign)[:1], budget())
    assert answer["rule"]["found"] is False


def test_a_regression_keeps_a_range_of_values() -> None:
    subject, reference, rest = house_prices()
    explainer = fitted(subject, reference, width=200.0)
    answers = explainer.explain(instances(rest)[:20], budget())
    found = [answer for answer in answers if answer["rule"]["found"]]
    assert found
    for answer in found:
        rows = reference[meets(answer["rule"]["conditions"], reference)]
        values = subject.outputs(subject.table(rows))[:, 0]
        near = np.abs(values - answer["prediction"]) <= 200.0
        assert near.mean() >= 0.9
        assert answer["rule"]["keeps"]["to"] == answer["prediction"] + 200.0


def test_missing_values_make_conditions() -> None:
    gaps = with_gaps(table(400))
    model = HistGradientBoostingClassifier(max_iter=9, random_state=0)
    model.fit(gaps.astype({"city": "category"}), outcome(table(400)))
    subject = sklearn_subject(model, {"features": nullable(FEATURES)}, gaps)
    explainer = fitted(subject, gaps, threshold=0.6, tolerance=0.3)
    row = {"income": None, "age": None, "city": None, "owner": None}
    (answer,) = explainer.explain([row], budget())
    assert all(each["value"] is None for each in answer["rule"]["conditions"])


def test_the_bound_is_exceeded_by_the_truth_as_often_as_it_says() -> None:
    truth, trials, delta = 0.9, 60, 0.1
    successes = np.arange(trials + 1)
    bounds = kl_lower_bound(successes, np.full(trials + 1, trials), delta)
    too_high = binom.pmf(successes, trials, truth)[bounds > truth].sum()
    assert 0.01 < too_high <= delta


def test_the_bound_of_a_clean_sample_has_a_closed_form() -> None:
    bound = kl_lower_bound(np.array([50]), np.array([50]), 0.05)
    assert bound[0] == pytest.approx(0.05 ** (1 / 50), abs=1e-7)
    assert kl_lower_bound(np.array([0]), np.array([0]), 0.05)[0] == 0


def test_the_error_is_shared_among_the_rules_that_are_tried() -> None:
    met = np.ones((80, 3), dtype=bool)
    alone = certified(met, np.ones(80, dtype=bool), [(0,)], Search())
    among = certified(met, np.ones(80, dtype=bool), [(0,), (1,), (2,)], Search())
    assert alone is not None
    assert among is not None
    assert alone.lower == pytest.approx(0.05 ** (1 / 80), abs=1e-7)
    assert among.lower == pytest.approx((0.05 / 3) ** (1 / 80), abs=1e-7)


def test_the_search_finds_the_conjunction_that_decides() -> None:
    random = np.random.default_rng(0)
    met = random.random((600, 8)) < 0.5
    same = met[:, 2] & met[:, 5]
    rules = seek(met, same, list(range(8)), Search())
    assert rules[0] == (2, 5)


def test_bad_references_and_settings_are_refused_in_words() -> None:
    subject, reference, _ = german()
    with pytest.raises(BadRequest, match="at least 40 held-out rows"):
        fitted(subject, reference.head(20))
    few = Background.of(subject.table(reference.head(20)))
    assert "at least 40" in Anchors.suits(subject, few)
    assert Anchors.suits(subject, background(subject, reference)) == ""
    with pytest.raises(LoadError, match="tolerance below it"):
        Anchors(subject, {"threshold": 1.5}, SEED)


def test_nan_from_the_model_is_refused() -> None:
    frame = table()[["income", "age"]]
    model = GradientBoostingClassifier(n_estimators=2).fit(frame, outcome(table()))
    subject = sklearn_subject(model, {}, frame)
    model.predict_proba = lambda data: np.full((len(data), 2), np.nan)
    with pytest.raises(ModelFailure, match="NaN or infinity"):
        fitted(subject, frame)


def test_a_spent_budget_gives_nothing() -> None:
    subject, reference, rest = german()
    explainer = fitted(subject, reference)
    with pytest.raises(BudgetExceeded):
        explainer.explain(instances(rest)[:1], budget(seconds=0))

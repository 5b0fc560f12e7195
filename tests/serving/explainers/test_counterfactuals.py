"""Every counterfactual is valid when the served model is asked, and keeps what must stay."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.base import BudgetExceeded
from apps.serving.explainers.counterfactuals import Counterfactuals
from tests.serving.cases import FEATURES, nullable, outcome, records, table, thirds, with_gaps
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


def fitted(subject: Any, frame: pd.DataFrame, **settings: Any) -> Counterfactuals:
    explainer = Counterfactuals(subject, settings, SEED)
    explainer.fit(background(subject, frame))
    return explainer


def changed(row: dict[str, Any], counterfactual: dict[str, Any]) -> dict[str, Any]:
    """The row as somebody would send it who follows the advice."""
    return row | {each["feature"]: each["to"] for each in counterfactual["changes"]}


@pytest.mark.parametrize(
    ("case", "count"),
    [(german, 100), (german_xgboost, 150), (breast_cancer, 100), (transactions, 150)],
)
def test_all_are_valid_when_the_served_model_is_asked(case: Any, count: int) -> None:
    subject, reference, rest = case()
    asked = instances(pd.concat([rest, reference]))[:count]
    assert len(asked) == count
    given = 0
    for row, answer in zip(asked, fitted(subject, reference).explain(asked, budget()), strict=True):
        before = np.argmax(subject.model.predict([row])[0])
        for each in answer["counterfactuals"]:
            (after,) = subject.model.predict([changed(row, each)])
            assert np.argmax(after) != before
            np.testing.assert_allclose(after, each["output"], atol=1e-6)
            assert all(part["from"] == row[part["feature"]] for part in each["changes"])
            given += 1
    assert given >= 2 * count


@pytest.mark.parametrize("case", [german, german_xgboost, breast_cancer])
def test_the_same_request_gives_the_same_bytes(case: Any) -> None:
    subject, reference, rest = case()
    asked = instances(rest)[:2]
    explainer = fitted(subject, reference)
    first, second = (json.dumps(steady(explainer.explain(asked, budget()))) for _ in range(2))
    assert (
        first == second == json.dumps(steady(fitted(subject, reference).explain(asked, budget())))
    )


def test_they_are_few_small_and_different() -> None:
    subject, reference, rest = german()
    for answer in fitted(subject, reference).explain(instances(rest)[:10], budget()):
        found = answer["counterfactuals"]
        sets = [frozenset(part["feature"] for part in each["changes"]) for each in found]
        assert len(set(sets)) == len(sets)
        assert len(sets[0]) <= 3
        assert [len(each) for each in sets] == sorted(len(each) for each in sets)
        named = [name for each in sets for name in each]
        assert max(named.count(name) for name in named) <= 3


def test_values_are_whole_known_and_within_what_was_seen() -> None:
    subject, reference, rest = german()
    known = {feature.name: feature for feature in subject.features}
    for answer in fitted(subject, reference).explain(instances(rest)[:10], budget()):
        for part in (part for each in answer["counterfactuals"] for part in each["changes"]):
            feature = known[part["feature"]]
            if feature.kind == "category":
                assert part["to"] in feature.categories
            else:
                assert type(part["to"]) is int
                column = reference[feature.name]
                assert column.min() <= part["to"] <= column.max()


def test_decimals_are_those_of_the_background() -> None:
    subject, reference, rest = transactions()
    changes = [
        part["to"]
        for answer in fitted(subject, reference).explain(instances(rest)[:20], budget())
        for each in answer["counterfactuals"]
        for part in each["changes"]
        if part["feature"] == "amount"
    ]
    assert changes
    assert all(round(value, 2) == value for value in changes)


def test_what_must_stay_stays_and_directions_are_kept() -> None:
    subject, reference, rest = german()
    settings: dict[str, Any] = {
        "immutable": ["age", "personal_status_sex", "foreign_worker"],
        "monotone": {"duration_months": "decrease", "employment_since": "increase"},
        "ranges": {"credit_amount": [500, 5000]},
    }
    order = {f.name: f.categories for f in subject.features}["employment_since"]
    seen = set()
    for answer in fitted(subject, reference, **settings).explain(instances(rest)[:25], budget()):
        for part in (part for each in answer["counterfactuals"] for part in each["changes"]):
            seen.add(part["feature"])
            assert part["feature"] not in settings["immutable"]
            if part["feature"] == "duration_months":
                assert part["to"] < part["from"]
            if part["feature"] == "employment_since":
                assert order.index(part["to"]) > order.index(part["from"])
            if part["feature"] == "credit_amount":
                assert 500 <= part["to"] <= 5000
    assert {"duration_months", "credit_amount"} <= seen


def test_only_what_is_actionable_changes() -> None:
    subject, reference, rest = german()
    explainer = fitted(subject, reference, actionable=["credit_amount", "duration_months"])
    answers = explainer.explain(instances(rest)[:10], budget())
    seen = {p["feature"] for a in answers for each in a["counterfactuals"] for p in each["changes"]}
    assert seen == {"credit_amount", "duration_months"}


def test_marks_of_the_metadata_count() -> None:
    frame = table(200)
    features = [feature | {"immutable": feature["name"] != "age"} for feature in FEATURES]
    features[1]["monotone"] = 1
    numeric = [feature for feature in features if feature["name"] != "city"]
    model = RandomForestClassifier(10, random_state=0)
    names = ["income", "age", "owner"]
    subject = sklearn_subject(
        model.fit(frame[names], outcome(frame)), {"features": numeric}, frame[names]
    )
    answers = fitted(subject, frame[names]).explain(instances(frame[names])[:30], budget())
    parts = [p for a in answers for each in a["counterfactuals"] for p in each["changes"]]
    assert parts
    assert all(part["feature"] == "age" and part["to"] > part["from"] for part in parts)


def test_where_nothing_may_change_it_says_so() -> None:
    subject, reference, rest = german()
    (answer,) = fitted(subject, reference, immutable=list(reference.columns)).explain(
        instances(rest)[:1], budget()
    )
    assert answer["counterfactuals"] == []
    assert answer["note"] == "No feature may change"


def test_a_wanted_confidence_is_reached() -> None:
    subject, reference, rest = german()
    (answer,) = fitted(subject, reference, confidence=0.8).explain(instances(rest)[:1], budget())
    assert answer["counterfactuals"]
    assert all(max(each["output"]) >= 0.8 for each in answer["counterfactuals"])


def test_of_three_classes_any_other_or_the_one_wanted() -> None:
    frame = table(200)[["income", "age"]]
    model = RandomForestClassifier(10, random_state=0).fit(frame, thirds(table(200)))
    subject = sklearn_subject(
        model, {"predictionClasses": {"low": 0, "middle": 1, "high": 2}}, frame
    )
    asked = instances(frame)[:15]
    answers = fitted(subject, frame).explain(asked, budget())
    for answer in answers:
        for each in answer["counterfactuals"]:
            assert np.argmax(each["output"]) != np.argmax(answer["output"])
    wanted = fitted(subject, frame, desired="high").explain(asked, budget())
    ends = [np.argmax(each["output"]) for a in wanted for each in a["counterfactuals"]]
    assert ends
    assert set(ends) == {2}
    with pytest.raises(BadRequest, match="no class top; it has low, middle, high"):
        fitted(subject, frame, desired="top").explain(asked, budget())


def test_a_regression_reaches_the_range_that_is_wanted() -> None:
    subject, reference, rest = house_prices()
    explainer = fitted(subject, reference, desired={"minimum": 400, "maximum": 450})
    for answer in explainer.explain(instances(rest)[:10], budget()):
        assert answer["counterfactuals"]
        assert all(400 <= each["output"] <= 450 for each in answer["counterfactuals"])
    with pytest.raises(BadRequest, match="set desired"):
        fitted(subject, reference).explain(instances(rest)[:1], budget())


def test_missing_values_may_be_filled_and_are_never_made() -> None:
    gaps = with_gaps(table(300))
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    model.fit(gaps.astype({"city": "category"}), outcome(table(300)))
    subject = sklearn_subject(model, {"features": nullable(FEATURES)}, gaps)
    answers = fitted(subject, gaps).explain(records(gaps.head(30)), budget())
    parts = [p for a in answers for each in a["counterfactuals"] for p in each["changes"]]
    assert any(part["from"] is None for part in parts)
    assert all(part["to"] is not None for part in parts)


def test_a_model_or_background_of_one_answer_is_refused_in_words() -> None:
    frame = table()[["income", "age"]]
    model = DummyClassifier(strategy="prior").fit(frame, outcome(table()))
    with pytest.raises(BadRequest, match="to every row of the background"):
        fitted(sklearn_subject(model, {}, frame), frame)
    subject, reference, _ = german()
    good = subject.outputs(subject.table(reference)).argmax(axis=1) == 0
    with pytest.raises(BadRequest, match="The model answers good to every row"):
        fitted(subject, reference[good])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"immutable": ["agee"]}, '"immutable" names agee, which is no feature'),
        ({"monotone": {"age": "sideways"}}, "must be increase or decrease, not sideways"),
        ({"ranges": {"age": [40, 20]}}, "a minimum above its maximum"),
        ({"ranges": {"age": "old"}}, "must be two numbers"),
        ({"mosts": 3}, "has no setting mosts"),
        ({"most": 0}, "counts must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    subject, reference, _ = german()
    with pytest.raises(LoadError, match=words):
        fitted(subject, reference, **settings)


def test_nan_from_the_model_is_refused() -> None:
    frame = table()[["income", "age"]]
    model = RandomForestClassifier(5).fit(frame, outcome(table()))
    subject = sklearn_subject(model, {}, frame)
    explainer = fitted(subject, frame)
    model.predict_proba = lambda data: np.full((len(data), 2), np.nan)
    with pytest.raises(ModelFailure, match="NaN or infinity"):
        explainer.explain(instances(frame)[:1], budget())


@pytest.mark.parametrize("spent", [budget(rows=200), budget(seconds=0.0)])
def test_a_spent_budget_gives_nothing(spent: Any) -> None:
    subject, reference, rest = german()
    explainer = fitted(subject, reference)
    with pytest.raises(BudgetExceeded):
        explainer.explain(instances(rest)[:1], spent)

"""Rules: which predictions they take, and the words that say why."""

from typing import Any
from uuid import uuid4

import pytest

from apps.feedback.review.rules import applied, checked
from apps.feedback.review.subjects import Model, Subject, subject_of
from apps.predictions.models import PredictionRecord
from tests.predictions.conftest import METADATA

CLASSES = Model(METADATA)
NUMBERS = Model({"problemType": "regression", "features": METADATA["features"]})


def subject(**given: Any) -> Subject:
    values = {"age": 41, "city": "Urk", "income": 2500.5} | given.pop("values", {})
    shared = {"outcome": "bad", "score": 0.62, "probabilities": [0.38, 0.62]} | given
    return Subject(id=uuid4(), values=values, **shared)


def said(rule: dict[str, Any], each: Subject, model: Model = CLASSES) -> str | None:
    rules, errors = checked([rule], model)
    assert errors == []
    [(kind, words)] = applied(rules, model)
    assert kind == rule["kind"]
    return words(each)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "class", "classes": ["bad"]}, "The model says bad"),
        ({"kind": "class", "classes": ["good"]}, None),
        ({"kind": "confidence", "below": 0.7}, "Its probability is 0.62, below 0.7"),
        ({"kind": "confidence", "below": 0.62}, None),
        ({"kind": "amount", "feature": "age", "least": 40}, "Age 41 years, at least 40"),
        ({"kind": "amount", "feature": "age", "most": "41"}, "Age 41 years, at most 41"),
        (
            {"kind": "amount", "feature": "income", "least": 1000, "most": 3000},
            "income 2,500.5, between 1,000 and 3,000",
        ),
        ({"kind": "amount", "feature": "age", "least": 42}, None),
        ({"kind": "group", "feature": "city", "values": ["Urk", "Ede"]}, "city Urk"),
        ({"kind": "group", "feature": "city", "values": ["Ede"]}, None),
        ({"kind": "range"}, None),
    ],
)
def test_a_rule_takes_what_it_says(rule: dict[str, Any], words: str | None) -> None:
    assert said(rule, subject()) == words


@pytest.mark.parametrize(
    ("features", "values", "words"),
    [
        ([], {"income": 9000}, "income 9,000, outside 900 to 3,000"),
        ([], {"city": "Rome"}, "city Rome, which training never saw"),
        (["city"], {"income": 9000}, None),
        (["income"], {"income": 1}, "income 1, outside 900 to 3,000"),
        ([], {"income": None, "city": None}, None),
        ([], {"income": "much"}, None),
    ],
)
def test_a_value_that_training_never_saw_is_named(
    features: list[str], values: dict[str, Any], words: str | None
) -> None:
    assert said({"kind": "range", "features": features}, subject(values=values)) == words


def test_a_missing_value_is_taken_by_no_rule() -> None:
    empty = Subject(uuid4(), {}, None, None, None)
    for rule in (
        {"kind": "amount", "feature": "age", "least": 0},
        {"kind": "group", "feature": "city", "values": ["Urk"]},
        {"kind": "confidence", "below": 1},
        {"kind": "class", "classes": ["bad"]},
    ):
        assert said(rule, empty) is None


def test_a_predicted_number_is_taken_within_its_bounds() -> None:
    rule = {"kind": "output", "least": 10_000}
    assert said(rule, subject(outcome="12000.5"), NUMBERS) == (
        "The model predicts 12,000.5, at least 10,000"
    )
    assert said(rule, subject(outcome="900"), NUMBERS) is None


def test_a_label_of_a_category_is_what_people_read() -> None:
    feature = {"name": "city", "label": "Town", "categoryLabels": {"U": "Urk"}, "type": "category"}
    model = Model({"features": [feature]})
    rule = {"kind": "group", "feature": "city", "values": ["U"]}
    assert said(rule, subject(values={"city": "U"}), model) == "Town Urk"


# What is known of a prediction


def record(**given: Any) -> PredictionRecord:
    return PredictionRecord(**({"outcome": "bad", "score": "0.62"} | given))


def test_a_list_of_values_is_read_by_the_order_of_the_features() -> None:
    found = subject_of(record(input='[41, "Urk", 5]', output="[0.38, 0.62]"), CLASSES)
    assert found.values == {"age": 41, "city": "Urk", "income": 5}
    assert (found.probabilities, found.score) == ([0.38, 0.62], 0.62)


def test_what_a_transformer_made_stands_beside_what_the_caller_sent() -> None:
    found = subject_of(
        record(
            input='{"income": 5, "street": "x"}',
            model_input='{"income": 0.5}',
            output='{"decision": "no"}',
            model_output="[0.38, 0.62]",
        ),
        CLASSES,
    )
    assert found.values == {"income": 0.5, "street": "x"}
    assert found.probabilities == [0.38, 0.62]


@pytest.mark.parametrize(
    "output", ["null", '"bad"', "[1]", "[2.0, 3.0]", '[[0.1], "a"]', "[null, 1]"]
)
def test_what_are_no_probabilities_is_left_alone(output: str) -> None:
    assert subject_of(record(input="[[1]]", output=output), CLASSES).probabilities is None

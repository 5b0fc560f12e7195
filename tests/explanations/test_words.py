"""What the real explainers say, in words that people know."""

from typing import Any

import pytest

from apps.explanations.drawing import waterfall
from apps.explanations.words import (
    Words,
    alternatives,
    fidelity_words,
    joined,
    rule_sentence,
    signed,
    weighed_most,
)
from tests.explanations.told import METADATA, told

WORDS = Words(METADATA)


def test_values_carry_their_units_and_category_words() -> None:
    assert WORDS.value("age", 41) == "41\u00a0years"
    assert WORDS.value("city", "Urk") == "Urk on the lake"
    assert WORDS.value("age", None) == "missing"
    assert WORDS.label("income") == "income"


def test_the_sentence_names_what_counted_most() -> None:
    parts = sorted(told("shap.tree")["contributions"], key=lambda part: -part["contribution"])
    sentence = weighed_most(told("shap.tree"), WORDS)
    assert sentence.startswith(WORDS.label(parts[0]["feature"]))
    assert "towards bad" in sentence


def test_places_without_a_value_are_named_alone() -> None:
    parts = [{"feature": "row 3", "contribution": 2.0}]
    content = {"class": "7", "contributions": parts, "unit": "logit", "prediction": 2.0}
    assert weighed_most(content, WORDS).startswith("row 3 pushes most towards 7")
    assert waterfall(content | {"baseValue": 0.0}, WORDS).bars[0].note == ""


def contributions(*sizes: float, label: str | None = "bad") -> dict[str, Any]:
    names = ("age", "city", "income")
    return {
        "class": label,
        "contributions": [
            {"feature": name, "value": None, "contribution": size}
            for name, size in zip(names, sizes, strict=False)
        ],
    }


@pytest.mark.parametrize(
    ("sizes", "label", "end"),
    [
        ((0.5, 0.2), "bad", "most towards bad; nothing speaks against it."),
        ((-0.5, -0.2), "bad", "most away from bad."),
        ((-0.5,), None, "pushes most the value down."),
        ((0.0,), "bad", "No feature moved the answer from where the model starts."),
    ],
)
def test_the_sentence_holds_where_all_points_one_way(
    sizes: tuple[float, ...], label: str | None, end: str
) -> None:
    assert weighed_most(contributions(*sizes, label=label), WORDS).endswith(end)


def test_a_rule_is_a_sentence_with_its_bound() -> None:
    content = told("anchors")
    assert content["rule"]["found"]
    sentence = rule_sentence(content, WORDS)
    assert sentence.startswith("As long as ")
    bound = f"{100 * content['rule']['precisionLowerBound']:.0f}\u00a0%"
    assert sentence.endswith(f"stays in at least {bound} of cases.")


def test_no_rule_is_an_answer() -> None:
    content = {
        "rule": {"found": False, "conditions": [], "keeps": {"class": "bad"}},
        "fidelity": {"threshold": 0.95},
    }
    assert rule_sentence(content, WORDS).startswith("No rule found: ")


def test_conditions_read_as_people_speak() -> None:
    conditions = [
        {"feature": "age", "op": "<=", "value": 40},
        {"feature": "city", "op": "=", "value": "Urk"},
        {"feature": "city", "op": "in", "value": ["Ede", "Goes"]},
    ]
    rule = {"found": True, "conditions": conditions, "precisionLowerBound": 0.9}
    said = rule_sentence({"class": "bad", "rule": rule}, WORDS)
    assert "Age is at most 40\u00a0years, Town is Urk on the lake and Town is Ede or Goes" in said


def test_alternatives_say_what_to_change_and_what_the_model_then_says() -> None:
    found = alternatives(told("counterfactuals"), WORDS)
    assert found
    for alternative, given in zip(found, told("counterfactuals")["counterfactuals"], strict=True):
        outcome = "bad" if given["output"][1] > 0.5 else "good"
        assert alternative.then.startswith(f"{outcome}, ")
        assert [name for name, _ in alternative.changed] == [c["feature"] for c in given["changes"]]
        assert all(change.before != change.after for change in alternative.changes)


@pytest.mark.parametrize(
    ("method", "words"),
    [("shap.tree", "add up"), ("lime", "local fit"), ("counterfactuals", "asked of the model")],
)
def test_fidelity_is_said(method: str, words: str) -> None:
    assert words in fidelity_words(told(method))


def test_numbers_have_true_signs() -> None:
    assert [signed(x) for x in (0.918, -0.38, 0.0373, 0.0)] == ["+0.92", "−0.38", "+0.037", "0.00"]
    assert joined(["a", "b", "c"]) == "a, b and c"

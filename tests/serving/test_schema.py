"""Each fault of an instance has its own words, and what fits passes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.serving.schema import compile_schema

FEATURES = [
    {"name": "income", "type": "number"},
    {"name": "age", "type": "integer", "nullable": True},
    {"name": "city", "type": "category", "categories": ["Ede", "Urk"]},
    {"name": "owner", "type": "boolean"},
    {"name": "note", "type": "text"},
    {"name": "rest", "type": "any"},
]
SCHEMA = compile_schema({"features": FEATURES})
GOOD = {"income": 1.5, "age": 40, "city": "Ede", "owner": True, "note": "", "rest": 1}


def faults(instances: Any, **options: int) -> list[str]:
    return [found.message for found in SCHEMA.check(instances, **options)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"income": "12"}, 'income must be a number, not the text "12"'),
        ({"income": True}, "income must be a number, not true or false"),
        ({"income": float("nan")}, "income is not a finite number"),
        ({"income": float("inf")}, "income is not a finite number"),
        ({"income": None}, "income is null, and the model takes no missing value here"),
        ({"income": [1]}, "income must be a number, not a list"),
        ({"age": 40.5}, "age must be a whole number, not 40.5"),
        ({"age": "40"}, 'age must be a whole number, not the text "40"'),
        ({"city": "Ams"}, 'city has the unknown category "Ams"; known are Ede, Urk'),
        ({"city": {}}, "city must be one category, not an object"),
        ({"owner": 1}, "owner must be true or false, not 1"),
        ({"note": 5}, "note must be text, not 5"),
        ({"rest": [1]}, "rest must be one value, not a list"),
        ({"rest": float("-inf")}, "rest is not a finite number"),
    ],
)
def test_each_fault_of_a_value_has_its_words(change: dict[str, Any], message: str) -> None:
    assert faults([GOOD | change]) == [message]
    assert faults([list((GOOD | change).values())]) == [message]


@pytest.mark.parametrize("change", [{}, {"age": None}, {"age": 40.0}, {"income": 10**30}])
def test_what_fits_passes_as_object_and_as_list(change: dict[str, Any]) -> None:
    assert faults([GOOD | change, list((GOOD | change).values())]) == []


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ({}, "The instances must be a list"),
        ([], "There are no instances; send at least one"),
        ([3], "Instance 0 must be an object of features or a list of values, not 3"),
        ([GOOD, [1, 2]], "Instance 1 has 2 values; the model takes 6"),
    ],
)
def test_each_fault_of_the_whole_has_its_words(instances: Any, message: str) -> None:
    assert faults(instances) == [message]


def test_a_misspelt_feature_is_named_with_the_likely_one() -> None:
    wrong = {("incom" if name == "income" else name): value for name, value in GOOD.items()}
    expected = ['"incom" is no feature of this model; did you mean income?', "income is missing"]
    assert faults([wrong]) == expected


def test_too_many_rows_are_refused_with_the_bound() -> None:
    message = "There are 3 instances; one request takes 2, so send the rest in another"
    assert faults([GOOD] * 3, max_rows=2) == [message]


def test_at_most_a_hundred_faults_are_listed() -> None:
    assert len(faults([GOOD | {"income": "x"}] * 5000)) == 100


def test_long_values_are_cut_in_messages() -> None:
    assert len(faults([GOOD | {"income": "x" * 10_000}])[0]) < 120


def test_the_place_of_a_fault_is_kept() -> None:
    found = SCHEMA.check([GOOD, GOOD | {"income": "x"}])
    assert [(each.instance, each.feature) for each in found] == [(1, "income")]


def test_without_features_any_row_of_values_passes() -> None:
    empty = compile_schema({})
    assert empty.check([[1, 2], {"a": 1}]) == []
    assert empty.check(["text"]) != []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(GOOD, anything)) | anything, max_size=4))
def test_the_fast_and_the_precise_check_agree(instances: list[Any]) -> None:
    """A row is refused exactly where a fault can be named."""
    for instance in instances:
        fits = SCHEMA._fits(instance)
        assert fits == (SCHEMA._explain(0, instance) == [])

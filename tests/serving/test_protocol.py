"""V1, V2 and bare lists become instances, and predictions become V1 and V2 answers."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.serving.errors import BadRequest
from apps.serving.protocol import instances_of, tensors_of

numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(numbers, st.integers(-(2**53), 2**53), st.text(max_size=5), st.booleans())
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(numbers, min_size=width, max_size=width), min_size=1, max_size=5
    )
)


def tensor(name: str, shape: list[int], data: list[Any], datatype: str = "FP64") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


@given(st.lists(values, max_size=5))
def test_v1_and_a_bare_list_hold_the_instances_as_they_are(rows: list[Any]) -> None:
    assert instances_of({"instances": rows}) == instances_of(rows) == rows


@given(tables, st.booleans())
def test_one_tensor_gives_a_list_a_row_flat_or_nested(rows: list[list[float]], flat: bool) -> None:
    data: list[Any] = [value for row in rows for value in row] if flat else rows
    shape = [len(rows), len(rows[0])]
    assert instances_of({"inputs": [tensor("x", shape, data)]}) == rows


@given(st.lists(st.tuples(numbers, st.text(max_size=3)), min_size=1, max_size=5))
def test_named_tensors_give_an_object_a_row(rows: list[tuple[float, str]]) -> None:
    first, second = [row[0] for row in rows], [row[1] for row in rows]
    inputs = [
        tensor("a", [len(rows)], first),
        tensor("b", [len(rows), 1], [[value] for value in second], "BYTES"),
    ]
    assert instances_of({"inputs": inputs}) == [{"a": a, "b": b} for a, b in rows]


@pytest.mark.parametrize(
    ("predictions", "datatype", "shape"),
    [
        ([1, 2], "INT64", [2]),
        ([1.0, 2.0], "FP64", [2]),
        ([1, 2.5], "FP64", [2]),
        (["a", "b"], "BYTES", [2]),
        ([True, False], "BOOL", [2]),
        ([[0.25, 0.75]], "FP64", [1, 2]),
        (["a", 1], "BYTES", [2]),
    ],
)
def test_outputs_carry_datatype_and_shape(
    predictions: list[Any], datatype: str, shape: list[int]
) -> None:
    (found,) = tensors_of(predictions)
    assert (found["datatype"], found["shape"]) == (datatype, shape)


def test_several_targets_are_an_output_each() -> None:
    predictions = [[[0.5, 0.5], [0.2, 0.3, 0.5]], [[1.0, 0.0], [0.1, 0.1, 0.8]]]
    first, second = tensors_of(predictions)
    assert (first["name"], first["shape"]) == ("predict_0", [2, 2])
    assert second["data"] == [0.2, 0.3, 0.5, 0.1, 0.1, 0.8]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, 'neither "instances"'),
        (3, "must be a JSON object"),
        (None, "must be a JSON object"),
        ({"instances": {}}, '"instances" must be a list'),
        ({"inputs": []}, "at least one tensor"),
        ({"inputs": {}}, "at least one tensor"),
        ({"inputs": [3]}, "needs name, shape, datatype and data"),
        ({"inputs": [{"name": "x"}]}, "needs name, shape, datatype and data"),
        ({"inputs": [tensor("x", [2, 2], [1, 2, 3])]}, "has 3 values"),
        ({"inputs": [tensor("x", [-1], [])]}, "must be a list of whole numbers"),
        ({"inputs": [tensor("x", [True], [1])]}, "must be a list of whole numbers"),
        ({"inputs": [tensor("x", [2], {})]}, "data of input"),  # type: ignore[arg-type]
        ({"inputs": [tensor("x", [2, 1], [[1], 2])]}, "nested evenly"),
        ({"inputs": [tensor("a", [2], [1, 2]), tensor("b", [1], [1])]}, 'Input "b" must have one'),
        ({"inputs": [tensor("a", [], [1]), tensor("b", [], [1])]}, "must have one value"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(body: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        instances_of(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
tensorish = st.fixed_dictionaries(
    {"name": json_values, "shape": json_values, "datatype": json_values, "data": json_values}
)


@given(st.one_of(json_values, st.fixed_dictionaries({"inputs": st.lists(tensorish, max_size=3)})))
def test_any_json_gives_a_list_or_a_refusal(body: Any) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(instances_of(body), list)

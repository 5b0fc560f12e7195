"""Tensors of every datatype and shape survive JSON and bytes; what contradicts itself is named."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from apps.serving.errors import BadRequest
from apps.serving.protocol import Wanted, instances_of, output_tensors, split_body, v2_body
from apps.serving.recorded import as_object, restored
from apps.serving.schema import compile_schema
from apps.serving.tensors import DTYPES, plain, read_tensors, rows_of

shapes = arrays.array_shapes(min_dims=1, max_dims=4, max_side=4)


def finite(datatype: str) -> Any:
    dtype = DTYPES[datatype]
    if dtype.kind != "f":
        return arrays.from_dtype(dtype)
    return arrays.from_dtype(dtype, allow_nan=False, allow_infinity=False)


tensors = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda datatype: arrays.arrays(DTYPES[datatype], shapes, elements=finite(datatype))
)


@given(tensors, st.booleans())
def test_every_datatype_and_shape_survives(array: Any, binary: bool) -> None:
    sent = output_tensors(list(array), [{"name": "x", "shape": []}])
    body, length = v2_body({}, "inputs", sent, Wanted(all_binary=binary))
    text, raw = split_body(body, None if length is None else str(length).encode())
    (got,) = read_tensors(json.loads(text)["inputs"], raw)
    assert (got.name, DTYPES[got.datatype], got.shape) == ("x", array.dtype, list(array.shape))
    values = np.array(got.values, array.dtype).reshape(array.shape)
    np.testing.assert_array_equal(values, array)


@given(st.lists(st.text(), min_size=1), st.booleans())
def test_texts_survive(texts: list[str], binary: bool) -> None:
    body, length = v2_body({}, "inputs", output_tensors(texts), Wanted(all_binary=binary))
    text, raw = split_body(body, None if length is None else str(length).encode())
    (got,) = read_tensors(json.loads(text)["inputs"], raw)
    assert (got.datatype, got.values) == ("BYTES", texts)


@given(tensors)
def test_a_recorded_tensor_keeps_every_bit(array: Any) -> None:
    found = restored(json.loads(json.dumps({"a": as_object(array), "b": 1})))
    assert (found["a"].dtype, found["b"]) == (array.dtype, 1)
    np.testing.assert_array_equal(found["a"], array)


def entry(shape: list[int], data: Any, datatype: str = "FP32", name: str = "x") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def test_single_precision_is_rounded_as_the_model_sees_it() -> None:
    assert instances_of({"inputs": [entry([1, 2], [0.1, None])]}) == [
        [float(np.float32(0.1)), None]
    ]


def test_rows_of_higher_rank_are_arrays_and_several_inputs_objects() -> None:
    image, mask = np.arange(24.0).reshape(2, 3, 4), [[True, False]] * 2
    (first, second) = instances_of(
        {
            "inputs": [
                entry([2, 3, 4], image.tolist(), name="image"),
                entry([2, 2], mask, "BOOL", "mask"),
                entry([2, 1], ["a", "b"], "BYTES", "note"),
            ]
        }
    )
    np.testing.assert_array_equal(first["image"], image[0].astype("<f4"))
    assert second["image"].dtype == np.float32
    assert (first["mask"], first["note"]) == ([True, False], "a")


def test_whole_numbers_may_be_written_as_fractions() -> None:
    assert instances_of({"inputs": [entry([2, 1], [1.0, 2], "INT8")]}) == [[1], [2]]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (entry([1, 1], [300], "UINT8"), 'Input "x" holds a number that UINT8 cannot hold'),
        (entry([1, 1], [-1], "UINT64"), "UINT64 cannot hold"),
        (entry([1, 1], [1.5], "INT32"), "is INT32 and holds fractions"),
        (entry([1, 1], [1e39]), "too large for FP32"),
        (entry([1, 1], [70000.0], "FP16"), "too large for FP16"),
        (entry([1, 1], [1], "BOOL"), "is BOOL and holds numbers"),
        (entry([1, 1], [True]), "is FP32 and holds true or false"),
        (entry([1, 1], ["1"]), "is FP32 and holds text"),
        (entry([1, 1], [1], "BYTES"), "is BYTES and holds numbers"),
        (entry([1, 1], [1], "BF16"), "send FP32 instead"),
        (entry([1, 1], [1], "FP8"), "known are BOOL"),
        (entry([1, 1], [1], None), "no datatype"),  # type: ignore[arg-type]
        (entry([1, 2, 1], [1, None]), "holds null"),
        (entry([2, 2], [[1, 2, 3], [4]]), "not nested as its shape"),
        (entry([2, 2, 1], [[1, 2], [3, 4]], "FP32"), None),
        (entry([10**9, 0], []), "each but the first above 0"),
        (entry([1] * 40, [1]), "at most 32 dimensions"),
        (entry([2**62, 4], [1]), "has 1 values"),
        (entry([1], [1], name=5), "must be text"),  # type: ignore[arg-type]
    ],
)
def test_what_contradicts_itself_is_named(tensor: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert len(instances_of({"inputs": [tensor]})) == 2
        return
    with pytest.raises(BadRequest, match=message):
        instances_of({"inputs": [tensor]})


def test_arrays_come_in_the_datatype_that_the_model_takes() -> None:
    described = [{"name": "image", "datatype": "FP32", "shape": [-1, 2, 2]}]
    whole = {"inputs": [entry([1, 2, 2], [1, 2, 3, 300], "INT64", "any name")]}
    (row,) = instances_of(whole, described=described)
    assert (row.dtype, row.tolist()) == (np.float32, [[1.0, 2.0], [3.0, 300.0]])
    for datatype, data in (("INT64", [1, 2, 3, 300]), ("FP64", [1, 2, 3, 0.5])):
        body = {"inputs": [entry([1, 2, 2], data, datatype)]}
        with pytest.raises(BadRequest, match="takes UINT8, which cannot hold all"):
            instances_of(body, described=[described[0] | {"datatype": "UINT8"}])


def test_one_name_stands_for_one_input() -> None:
    with pytest.raises(BadRequest, match="there twice"):
        instances_of({"inputs": [entry([1], [1]), entry([1], [2])]})


@pytest.mark.parametrize(
    ("length", "message"),
    [(b"11", "the whole body has 10"), (b"-1", "whole number"), (b"\xb2", "whole number")],
)
def test_a_length_that_cannot_be_is_refused(length: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        split_body(b"0123456789", length)


@given(st.binary(max_size=60), st.lists(st.integers(0, 9), max_size=3), st.integers(0, 70))
def test_any_bytes_give_rows_or_a_refusal(raw: bytes, shape: list[int], size: int) -> None:
    for datatype in [*DTYPES, "BYTES"]:
        head = {"name": "x", "shape": shape, "datatype": datatype}
        head["parameters"] = {"binary_data_size": size}
        try:
            rows = rows_of(read_tensors([head], raw))
        except BadRequest:
            continue
        assert len(rows) == shape[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "needs datatype, shape and base64"),
        ({"datatype": "FP32", "shape": [1], "base64": "!"}, "needs datatype"),
        ({"datatype": "FP32", "shape": [2], "base64": "AAAAAA=="}, "has 4 bytes"),
        ({"datatype": "BYTES", "shape": [1], "base64": "AAAAAA=="}, "holds numbers"),
        ({"datatype": "FP32", "shape": [1], "base64": "AAAAAA==", "sha256": "0"}, "its sha256"),
    ],
)
def test_a_recorded_tensor_that_was_altered_is_refused(content: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        restored({"$tensor": content})


def test_outputs_have_the_models_names_datatypes_and_shapes() -> None:
    described = [
        {"name": "logits", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "label", "datatype": "INT64", "shape": [-1, 1]},
    ]
    rows = [{"label": 1, "logits": [0.5, 1.0]}, {"label": 0, "logits": [1.0, 0.25]}]
    first, second = output_tensors(rows, described)
    assert (first.name, first.datatype, first.shape) == ("logits", "FP32", [2, 2])
    assert (second.datatype, second.shape, second.values) == ("INT64", [2, 1], [1, 0])


def test_a_description_never_makes_an_answer_lie() -> None:
    (found,) = output_tensors([1.5, 2.5], [{"name": "y", "datatype": "INT64", "shape": [-1]}])
    assert (found.name, found.datatype) == ("y", "FP64")


def test_nan_is_no_answer() -> None:
    with pytest.raises(ValueError, match="NaN"):
        output_tensors([np.array([np.nan])])
    with pytest.raises(ValueError, match="NaN"):
        plain(np.float32("inf"))


def test_a_tensor_is_checked_against_the_features() -> None:
    schema = compile_schema({"features": [{"name": "a", "type": "number"}]})
    (violation,) = schema.check([np.zeros((2, 2), "f4")])
    assert "has 2 values; the model takes 1" in violation.message
    (violation,) = schema.check([{"a": np.zeros(2)}])
    assert "must be a number, not a tensor" in violation.message
    assert compile_schema({}).check([np.zeros((2, 2))]) == []

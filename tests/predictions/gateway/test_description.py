"""What the Open Inference Protocol is told of a model, and what it gets for its labels."""

from typing import Any
from uuid import UUID

import pytest

from apps.deployments.routes import Route
from apps.deployments.wire import compile_schema, instances_of, tensors_of
from apps.predictions.gateway.description import metadata_of


def route(metadata: dict[str, Any]) -> Route:
    return Route(
        deployment_id=UUID(int=1),
        slug="credit",
        name="Credit",
        workspace_id=UUID(int=2),
        workspace_slug="w",
        desired="running",
        durability="committed",
        revision_id=None,
        revision_number=3,
        targets=(),
        metadata=metadata,
        schema=compile_schema(metadata),
    )


@pytest.mark.parametrize(
    ("kind", "classes", "datatype", "shape"),
    [
        ("classificationWithProbabilities", {"good": 0, "bad": 1, "so-so": 2}, "FP64", [-1, 3]),
        ("classificationWithProbabilities", {}, "FP64", [-1, -1]),
        ("classification", {"good": 0, "bad": 1}, "INT64", [-1]),
        ("classification", {"Good": "good", "Bad": "bad"}, "BYTES", [-1]),
        ("classification", {"yes": True, "no": False}, "BOOL", [-1]),
        ("regression", None, "FP64", [-1]),
        (None, None, "FP64", [-1]),
    ],
)
def test_outputs_follow_the_problem_type(
    kind: str | None, classes: Any, datatype: str, shape: list[int]
) -> None:
    described = metadata_of(route({"problemType": kind, "predictionClasses": classes}))
    assert described["outputs"] == [{"name": "predict", "datatype": datatype, "shape": shape}]


def test_inputs_have_the_datatype_of_their_feature() -> None:
    features = [
        {"name": "a", "type": "number"},
        {"name": "b", "type": "integer"},
        {"name": "c", "type": "boolean"},
        {"name": "d", "type": "text"},
        {"name": "e", "type": "category", "categories": ["x", "y"]},
        {"name": "f", "type": "category", "categories": [1, 2]},
    ]
    inputs = metadata_of(route({"features": features}))["inputs"]
    kinds = [each["datatype"] for each in inputs]
    assert kinds == ["FP64", "INT64", "BOOL", "BYTES", "BYTES", "INT64"]


def test_string_labels_come_back_as_bytes() -> None:
    assert tensors_of(["good", "bad"]) == [
        {"name": "predict", "shape": [2], "datatype": "BYTES", "data": ["good", "bad"]}
    ]


def test_one_matrix_and_several_columns_are_the_same_rows() -> None:
    matrix = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4]}
    columns = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": data}
        for name, data in (("a", [1, 3]), ("b", [2, 4]))
    ]
    assert instances_of({"inputs": [matrix]}) == [[1, 2], [3, 4]]
    assert instances_of({"inputs": columns}) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]

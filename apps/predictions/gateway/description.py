"""How the Open Inference Protocol describes a deployment's model."""

from collections.abc import Iterable
from typing import Any

from apps.deployments.routes import Route

_BY_TYPE = {"text": "BYTES", "integer": "INT64", "boolean": "BOOL", "number": "FP64"}


def metadata_of(route: Route) -> dict[str, Any]:
    """Names, datatypes and shapes of inputs and outputs; -1 stands for any number of rows.

    What the model server says of itself; what the metadata let expect where it was never asked.
    """
    inputs = route.inputs or [
        {"name": f.name, "datatype": _input_type(f.type, f.order), "shape": [-1]}
        for f in route.schema.features
    ]
    return {
        "name": route.slug,
        "versions": [str(route.revision_number)] if route.revision_number else [],
        "platform": "deeploy",
        "inputs": inputs,
        "outputs": route.outputs or [_output(route.metadata)],
    }


def _input_type(kind: str, categories: tuple[Any, ...]) -> str:
    if kind == "category":
        return _common(categories, otherwise="BYTES")
    return _BY_TYPE.get(kind, "FP64")


def _output(metadata: dict[str, Any]) -> dict[str, Any]:
    """Probabilities are a row per instance, in the order of the classes; labels and values one."""
    kind = metadata.get("problemType")
    classes = metadata.get("predictionClasses") or {}
    if kind == "classificationWithProbabilities":
        datatype, shape = "FP64", [-1, len(classes) or -1]
    elif kind == "classification":
        datatype, shape = _common(classes.values(), otherwise="INT64"), [-1]
    else:
        datatype, shape = "FP64", [-1]
    return {"name": "predict", "datatype": datatype, "shape": shape}


def _common(values: Iterable[Any], *, otherwise: str) -> str:
    """The one datatype that all values have."""
    kinds = {type(value) for value in values}
    names = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
    if kinds == {int, float}:
        return "FP64"
    return names.get(kinds.pop(), otherwise) if len(kinds) == 1 else otherwise

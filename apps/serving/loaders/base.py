"""What every loaded model offers, and the turning of instances into arrays and frames."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Protocol

import numpy as np

from apps.serving.errors import BadRequest, LoadError
from apps.serving.tensors import datatype_of_values

PROBLEM_TYPES = ("regression", "classification", "classificationWithProbabilities")


class LoadedModel(Protocol):
    """A model in memory.

    `advice` follows every message about a model that does not work, such as the version to save
    it with; empty where there is none. `native` is the library's own object, for explainers: an
    estimator, a booster, a module; None where there is none.
    """

    advice: str
    native: Any

    def predict(self, instances: list[Any]) -> list[Any]:
        """One output per instance: a number, a label, or a list of class probabilities."""
        ...

    def describe(self) -> dict[str, Any]:
        """framework, frameworkVersion, and what the model knows of features and classes."""
        ...

    def signature(self) -> dict[str, list[dict[str, Any]]]:
        """`inputs` and `outputs` as the Open Inference Protocol names them.

        Each has name, datatype and shape; the first dimension is the instances, -1 for any number
        of them. Another -1 stands for a length that the model leaves open.
        """
        ...


def problem_type(metadata: dict[str, Any], default: str) -> str:
    """The problem type in metadata.json; `default` where it says nothing."""
    kind = metadata.get("problemType") or default
    if kind not in PROBLEM_TYPES:
        raise LoadError(f"The problem type {kind} is not served; use {', '.join(PROBLEM_TYPES)}")
    return str(kind)


class Rows:
    """Turns instances into arrays of shape (n, f); made once a model, for speed on each request.

    An instance is an object by feature name, or a list of values in the order of `names`; one
    batch may hold both. Without names the first object's order of keys counts for all.
    """

    def __init__(self, names: Sequence[str], dtype: type = np.float64) -> None:
        self.names = list(names)
        self.dtype = dtype
        self._pick = _picker(self.names)

    def lists(self, instances: list[Any]) -> list[Any]:
        """The values of each instance in feature order. Raises BadRequest where one is missing."""
        pick = self._pick
        if pick is None:
            if type(instances[0]) is not dict:
                return instances
            pick = _picker(list(instances[0])) or list
        try:
            return [pick(row) if type(row) is dict else row for row in instances]
        except KeyError as error:
            raise BadRequest(f"The feature {error} is missing") from None

    def array(self, instances: list[Any]) -> np.ndarray:
        """Null becomes NaN where the array is one of numbers."""
        try:
            return np.array(self.lists(instances), dtype=self.dtype)
        except (TypeError, ValueError) as error:
            raise BadRequest(f"The values do not form a table of numbers: {error}") from None

    def columns(self, instances: list[Any]) -> list[tuple[Any, ...]]:
        """The values by feature."""
        rows = self.lists(instances)
        try:
            return list(zip(*rows, strict=True))
        except (TypeError, ValueError):
            raise BadRequest("The instances have different numbers of values") from None


def _picker(names: list[str]) -> Callable[[dict[str, Any]], Sequence[Any]] | None:
    """Takes the values of `names` from an object, in their order."""
    if not names:
        return None
    if len(names) == 1:
        name = names[0]
        return lambda row: (row[name],)
    return itemgetter(*names)


_DATATYPES = {"category": "BYTES", "text": "BYTES", "integer": "INT64", "boolean": "BOOL"}


def column_inputs(names: Sequence[str], features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One input per named column, in the datatype of its feature."""
    known = {feature["name"]: feature for feature in features}
    return [
        {"name": name, "datatype": _feature_datatype(known.get(name, {})), "shape": [-1]}
        for name in names
    ]


def _feature_datatype(feature: dict[str, Any]) -> str:
    categories = feature.get("categories") or ()
    if categories:
        return datatype_of_values(categories)
    return _DATATYPES.get(feature.get("type") or "number", "FP64")


def first_line(error: BaseException) -> str:
    """What an error says, in one line; libraries append stack traces to their messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def outputs_of(values: np.ndarray) -> list[Any]:
    """Native Python values, exact: float32 widens to the same number in float64."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("the model gave NaN or infinity")
    converted: list[Any] = values.tolist()
    return converted

"""Models that take and give tensors: PyTorch, TensorFlow and ONNX have this in common.

A loader says which inputs and outputs there are and how to run them; this turns instances into
arrays of the right type and shape, and what comes out into one answer per instance.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.loaders.base import Rows, problem_type
from apps.serving.spec import ServerSpec

Run = Callable[[list[np.ndarray]], dict[str, np.ndarray]]
# Of one input, an output's name ("" for the only one) and one of its numbers: the gradients.
Slopes = Callable[[np.ndarray, str, int], np.ndarray]
_ACTIVATIONS = ("softmax", "sigmoid")
_KINDS = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16",
    "FP32": "float32", "FP64": "float64", "BYTES": "object",
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output. `shape` begins with the batch; -1 where any length will do."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def described(self, sides: int = 1) -> dict[str, Any]:
        """As V2 metadata has it; `sides` is how many a shape has of which nothing is known."""
        shape = [-1, *self.shape[1:]] if self.shape else [-1] * sides
        return {"name": self.name, "datatype": datatype_of(self.dtype), "shape": shape}


def datatype_of(dtype: np.dtype) -> str:
    """The V2 name of an array's type."""
    return _NAMES.get(dtype.name, "BYTES")


def dtype_of(datatype: str) -> np.dtype:
    """The array type of a V2 name. Raises LoadError where there is none."""
    if datatype not in _KINDS:
        raise LoadError(f"The data type {datatype} is not served; use {', '.join(_KINDS)}")
    return np.dtype(_KINDS[datatype])


def given_inputs(metadata: dict[str, Any], names: Sequence[str]) -> list[Tensor]:
    """The inputs of a file that tells only their names, as metadata.json describes them.

    `inputTensorShape` is the shape of one instance, of a batch (it then begins with -1), or an
    object of them by input name; `inputDatatype` a V2 name, or an object; FP32 where it is absent.
    """
    shapes, kinds = metadata.get("inputTensorShape"), metadata.get("inputDatatype") or "FP32"
    features = metadata.get("features") or []
    found = []
    for name in names:
        shape = shapes.get(name) if isinstance(shapes, dict) else shapes
        if shape is None:
            shape = [-1, len(features)] if features and len(names) == 1 else None
        kind = kinds.get(name, "FP32") if isinstance(kinds, dict) else kinds
        found.append(Tensor(name, dtype_of(str(kind)), batched(shape)))
    return found


def batched(shape: Any) -> tuple[int, ...]:
    """The shape with the batch in front; empty where nothing is known of it."""
    if shape is None:
        return ()
    if not isinstance(shape, list) or not all(type(side) is int and side >= -1 for side in shape):
        raise LoadError("A tensor shape in the metadata must be a list of whole numbers")
    return tuple(shape) if shape and shape[0] == -1 else (-1, *shape)


class TensorModel:
    """Runs a batch of tensors. `batch` is the one number of rows that the model takes, if any."""

    advice = ""

    def __init__(
        self,
        spec: ServerSpec,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        run: Run,
        *,
        about: Mapping[str, Any],
        batch: int = 0,
        native: Any = None,
        slopes: Slopes | None = None,
    ) -> None:
        self.native, self.slopes, self.run = native, slopes, run
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._run, self._about, self._batch = run, dict(about), batch
        self._answers = Answers(spec.metadata)
        self.problem, self.picked = self._answers.problem, self._answers.picked
        self.activation = self._answers.activation
        self._sides = [1] * len(self.inputs)
        names = [feature["name"] for feature in spec.metadata.get("features") or []]
        self._rows = Rows(names) if len(self.inputs) == 1 and names else None
        own = [each.name for each in self.inputs]
        # A list has the order of the features: files sort their inputs as they like.
        self._order = names if set(names) == set(own) else own

    def predict(self, instances: list[Any]) -> list[Any]:
        """One array or number per instance in the model's own type, or an object of them."""
        arrays = self.arrays(instances)
        found = self._in_batches(arrays) if self._batch else self._run(arrays)
        for name, values in found.items():
            if not values.ndim or len(values) != len(instances):
                shape = list(values.shape)
                raise ModelFailure(
                    f'The output "{name}" has the shape {shape} for {len(instances)} instances; '
                    "the first number must be that of the instances"
                )
        self._note(arrays, found)
        return self._answers.of(found)

    def signature(self) -> dict[str, Any]:
        """Inputs and outputs for V2; outputs that a file does not tell are known once it ran."""
        return {
            "inputs": [
                each.described(sides) for each, sides in zip(self.inputs, self._sides, strict=True)
            ],
            "outputs": [each.described() for each in self._answers.tensors(self.outputs)],
        }

    def describe(self) -> dict[str, Any]:
        return {
            "featureNames": self._rows.names if self._rows else None,
            "classes": None,
            "probabilities": self._answers.problem == "classificationWithProbabilities",
            **self._about,
            **self.signature(),
        }

    def _note(self, arrays: list[np.ndarray], found: dict[str, np.ndarray]) -> None:
        """What a file does not tell of its inputs and outputs is known once it ran."""
        if not self.outputs:
            self._sides = [array.ndim for array in arrays]
            self.outputs = [
                Tensor(name, values.dtype, (-1, *values.shape[1:]))
                for name, values in found.items()
            ]

    def arrays(self, instances: list[Any]) -> list[np.ndarray]:
        """The inputs' arrays. Raises BadRequest where the instances do not fit."""
        if len(self.inputs) == 1:
            only = self.inputs[0]
            values = [_unwrapped(row, only.name) for row in instances]
            if self._rows:
                values = self._rows.lists(values)
            return [array_of(values, only, gaps=self._rows is not None)]
        rows = [self._by_name(row) for row in instances]
        return [array_of([row[each.name] for row in rows], each) for each in self.inputs]

    def _by_name(self, row: Any) -> dict[str, Any]:
        names = self._order
        if isinstance(row, dict):
            missing = [name for name in names if name not in row]
            if missing:
                raise BadRequest(f"The input {missing[0]} is missing; the model takes {names}")
            return row
        if isinstance(row, list | tuple) and len(row) == len(names):
            return dict(zip(names, row, strict=True))
        raise BadRequest(f"An instance must be an object with the inputs {', '.join(names)}")

    def _in_batches(self, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
        """As many runs as it takes; the last one is filled up with its last row."""
        rows, parts = len(arrays[0]), []
        for start in range(0, rows, self._batch):
            chunk = [array[start : start + self._batch] for array in arrays]
            missing = self._batch - len(chunk[0])
            if missing:
                chunk = [np.concatenate([c, np.repeat(c[-1:], missing, axis=0)]) for c in chunk]
            parts.append(self._run(chunk))
        return {name: np.concatenate([part[name] for part in parts])[:rows] for name in parts[0]}


def _unwrapped(row: Any, name: str) -> Any:
    """The value of an instance that names the one input."""
    return row[name] if isinstance(row, dict) and len(row) == 1 and name in row else row


def array_of(values: list[Any], tensor: Tensor, *, gaps: bool = False) -> np.ndarray:
    """Values of several instances as one new array. Raises BadRequest where they do not fit.

    A list of numbers as long as the shape has places is put into that shape. `gaps`: null is a
    missing number.
    """
    array = _stacked(values, tensor, gaps=gaps)
    wanted = tensor.shape[1:]
    known = -1 not in wanted
    if tensor.shape and array.shape[1:] != wanted:
        flat = array.ndim <= 2 and known
        if flat and array.size == len(array) * int(np.prod(wanted, dtype=np.int64)):
            array = array.reshape(len(array), *wanted)
        elif array.ndim != len(tensor.shape) or any(
            side not in (-1, length) for side, length in zip(wanted, array.shape[1:], strict=True)
        ):
            raise BadRequest(
                f'An instance of the input "{tensor.name}" must have the shape {list(wanted)}, '
                f"not {list(array.shape[1:])}"
            )
    return array


def _stacked(values: list[Any], tensor: Tensor, *, gaps: bool) -> np.ndarray:
    name, dtype = tensor.name, tensor.dtype
    if dtype.kind == "O":
        return _texts(values, name)
    try:
        found = np.stack(values) if isinstance(values[0], np.ndarray) else np.asarray(values)
    except (TypeError, ValueError):
        raise BadRequest(f'The values of the input "{name}" are not nested evenly') from None
    if found.dtype == object and gaps:
        with suppress(TypeError, ValueError):
            found = found.astype(np.float64)
    if found.dtype.kind not in "biuf":
        raise BadRequest(f'The values of the input "{name}" must be numbers, without null or text')
    return _cast(found, dtype, name)


def _cast(found: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """In the model's type; whole numbers must be whole, and within its range."""
    if dtype.kind == "f":
        return found.astype(dtype)
    with np.errstate(invalid="ignore"):
        cast = found.astype(dtype)
    if not (cast == found).all():
        kind = datatype_of(dtype)
        raise BadRequest(f'The input "{name}" takes {kind}; the values are fractions or too large')
    return cast


def _texts(values: list[Any], name: str) -> np.ndarray:
    found = np.array(values, dtype=object)
    if not all(isinstance(each, str | bytes) for each in found.flat):
        raise BadRequest(f'The values of the input "{name}" must be texts')
    return found


class Answers:
    """From named outputs to one answer per instance, by the problem type in metadata.json.

    `outputActivation` (softmax or sigmoid) is applied to what the model gives, and only where the
    metadata asks for it. `outputName` picks the one output that is the prediction.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.problem = problem_type(metadata, "regression")
        self.picked = metadata.get("outputName") or ""
        self.activation = metadata.get("outputActivation") or ""
        if self.activation and self.activation not in _ACTIVATIONS:
            known = " or ".join(_ACTIVATIONS)
            raise LoadError(f"The outputActivation {self.activation} is unknown; use {known}")

    def of(self, found: dict[str, np.ndarray]) -> list[Any]:
        """One answer per row. Raises ModelFailure where the outputs do not suit the problem."""
        found = self._chosen(found)
        for values in found.values():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ModelFailure("The model gave NaN or infinity")
        if len(found) == 1:
            return list(self._shaped(next(iter(found.values()))))
        if self.activation or self.problem != "regression":
            raise ModelFailure(
                f"The model has the outputs {', '.join(found)}; name the one that is the "
                'prediction as "outputName" in the metadata'
            )
        names = list(found)
        return [dict(zip(names, row, strict=True)) for row in zip(*found.values(), strict=True)]

    def tensors(self, outputs: list[Tensor]) -> list[Tensor]:
        """What is answered, for the signature."""
        chosen = [each for each in outputs if not self.picked or each.name == self.picked]
        if len(chosen) != 1:
            return chosen
        only = chosen[0]
        if self.problem == "classification" and only.dtype.kind == "f":
            return [Tensor(only.name, np.dtype("int64"), (-1,))]
        if self.problem == "classificationWithProbabilities" and only.shape[1:] in ((), (1,)):
            return [Tensor(only.name, only.dtype, (-1, 2))]
        return chosen

    def _chosen(self, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not self.picked:
            return found
        if self.picked not in found:
            raise ModelFailure(f"There is no output {self.picked}; there are {', '.join(found)}")
        return {self.picked: found[self.picked]}

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        if self.activation:
            values = activated(values, self.activation)
        if self.problem == "regression":
            return values
        single = values.ndim == 1 or values.shape[1:] == (1,)
        if self.problem == "classification" and values.dtype.kind != "f":
            return values.reshape(len(values)) if single else values
        if single or self.problem == "classificationWithProbabilities":
            self._check_probabilities(values)
        if single:
            values = values.reshape(len(values), 1)
            values = np.concatenate([1 - values, values], axis=1)
        return values if self.problem != "classification" else values.argmax(axis=-1)

    def _check_probabilities(self, values: np.ndarray) -> None:
        if values.dtype.kind != "f" or values.min() < 0 or values.max() > 1 + 1e-6:
            raise ModelFailure(
                "The outputs are not probabilities: some are outside 0 to 1. If they are scores, "
                'put "outputActivation": "softmax" (or "sigmoid") into the metadata'
            )


def activated(values: np.ndarray, activation: str) -> np.ndarray:
    """Softmax over the last axis, or the logistic function, in the type of the values."""
    if activation == "softmax":
        raised = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True), dtype=values.dtype)
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-values)), dtype=values.dtype)

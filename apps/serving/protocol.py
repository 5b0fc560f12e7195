"""The Open Inference Protocol (V2) and KServe's V1, to and from a list of instances."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from apps.serving.errors import BadRequest
from apps.serving.recorded import TENSOR, restored
from apps.serving.tensors import (
    Tensor,
    as_described,
    bytes_of,
    datatype_of,
    datatype_of_values,
    plain,
    read_tensors,
    rows_of,
)

EXTENSIONS = ["binary_tensor_data"]
_MARKED = f'"{TENSOR}"'.encode()
_Described = Sequence[dict[str, Any]]


def split_body(body: bytes, header_length: bytes | None) -> tuple[bytes, memoryview]:
    """JSON and raw bytes of a body, by its Inference-Header-Content-Length; None has no bytes."""
    if header_length is None:
        return body, memoryview(b"")
    text = header_length.decode("latin-1").strip()
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise BadRequest("Inference-Header-Content-Length must be a whole number of bytes")
    if int(text) > len(body):
        raise BadRequest(
            f"Inference-Header-Content-Length is {text}; the whole body has {len(body)} bytes"
        )
    return body[: int(text)], memoryview(body)[int(text) :]


def instances_of(body: Any, raw: bytes | memoryview = b"", described: _Described = ()) -> list[Any]:
    """The instances in a V1 body (`instances`), a V2 body (`inputs`) or a bare list.

    `raw` are the bytes of V2 inputs with `binary_data_size`; arrays come in the datatypes of the
    `described` inputs. Raises BadRequest where there are no instances.
    """
    if isinstance(body, dict) and "inputs" in body and "instances" not in body:
        tensors = read_tensors(body["inputs"], raw)
        return rows_of(
            [as_described(each, described) for each in tensors] if described else tensors
        )
    if len(raw):
        raise BadRequest(f"{len(raw)} bytes are left over after the JSON")
    if isinstance(body, list):
        return body
    if not isinstance(body, dict):
        raise BadRequest('The body must be a JSON object with "instances" or "inputs"')
    if "instances" not in body:
        raise BadRequest('The body has neither "instances" (V1) nor "inputs" (V2)')
    if not isinstance(body["instances"], list):
        raise BadRequest('"instances" must be a list')
    return body["instances"]


def with_tensors(instances: list[Any], body: bytes) -> list[Any]:
    """The instances, where the body has recorded tensors (`$tensor`) with these as arrays."""
    return [restored(instance) for instance in instances] if _MARKED in body else instances


@dataclass(frozen=True, slots=True)
class Wanted:
    """The answer that a V2 request asks for: which outputs (None: all), and which as bytes."""

    names: tuple[str, ...] | None = None
    binary: frozenset[str] = frozenset()
    all_binary: bool = False

    def is_binary(self, name: str) -> bool:
        return self.all_binary or name in self.binary

    def check(self, known: Sequence[str]) -> None:
        """Raises BadRequest where an output is asked for that is not among the known ones."""
        for name in self.names or ():
            if name not in known:
                text = f'The model has no output "{name[:60]}"; it has {", ".join(known)}'
                raise BadRequest(text)


_EVERYTHING = Wanted()


def wanted_of(body: Any) -> Wanted:
    """What a V2 body asks for; all of a V1 body. Raises BadRequest where that cannot be read."""
    if not isinstance(body, dict) or "inputs" not in body:
        return _EVERYTHING
    parameters = body.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest('"parameters" must be an object')
    everything = _flag(parameters, "binary_data_output", "The request")
    outputs = body.get("outputs")
    if outputs is None or outputs == []:
        return Wanted(all_binary=True) if everything else _EVERYTHING
    if not isinstance(outputs, list):
        raise BadRequest('"outputs" must be a list of the outputs that are wanted')
    names: list[str] = []
    binary = set()
    for entry in outputs:
        name, is_binary = _wanted_output(entry, everything)
        if name in names:
            raise BadRequest(f'The output "{name[:60]}" is asked for twice')
        names.append(name)
        if is_binary:
            binary.add(name)
    return Wanted(tuple(names), frozenset(binary))


def id_of(body: Any) -> str | None:
    """The caller's id of a V2 request. Raises BadRequest where it is no text."""
    given = body.get("id") if isinstance(body, dict) and "inputs" in body else None
    if given is not None and not isinstance(given, str):
        raise BadRequest('"id" must be text')
    return given or None


def _wanted_output(entry: Any, otherwise: bool) -> tuple[str, bool]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise BadRequest("A wanted output needs a name")
    name, parameters = entry["name"], entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest(f'The parameters of output "{name[:60]}" must be an object')
    if "classification" in parameters:
        text = "the classification extension is not served; take the whole output"
        raise BadRequest(f'Output "{name[:60]}": {text}')
    if "binary_data" not in parameters:
        return name, otherwise
    return name, _flag(parameters, "binary_data", f'Output "{name[:60]}"')


def _flag(parameters: dict[str, Any], key: str, what: str) -> bool:
    value = parameters.get(key, False)
    if not isinstance(value, bool):
        raise BadRequest(f"{what}: {key} must be true or false")
    return value


def output_tensors(predictions: list[Any], described: _Described = ()) -> list[Tensor]:
    """The outputs of predictions, with the names, datatypes and shapes that the model has.

    A prediction is a value, a list or an array, or an object of these by output name. Without a
    description, class probabilities of several targets, a list of lists each, give one output per
    target. Raises ValueError where the predictions form no tensors.
    """
    known = {str(each["name"]): each for each in described}
    return [
        _output(name, values, known.get(name, {}))
        for name, values in _columns(predictions, list(known)).items()
    ]


def _columns(predictions: list[Any], names: list[str]) -> dict[str, list[Any]]:
    """The values of every output, by its name."""
    first = predictions[0]
    if isinstance(first, dict) and all(row.keys() == first.keys() for row in predictions):
        order = names if set(names) == first.keys() else list(first)
        return {name: [row[name] for row in predictions] for name in order}
    if isinstance(first, list) and first and isinstance(first[0], list) and len(names) != 1:
        order = names if len(names) == len(first) else [f"predict_{n}" for n in range(len(first))]
        return dict(zip(order, map(list, zip(*predictions, strict=True)), strict=True))
    return {names[0] if len(names) == 1 else "predict": predictions}


def _output(name: str, values: list[Any], described: dict[str, Any]) -> Tensor:
    if isinstance(values[0], np.ndarray | np.generic):
        tensor = _of_arrays(name, values)
    else:
        shape, flat = _unnested(values)
        datatype = _datatype(flat, described.get("datatype", ""))
        if datatype == "BYTES":
            flat = [value if type(value) is str else _text(value) for value in flat]
        tensor = Tensor(name, datatype, shape, flat)
    wanted = list(described.get("shape") or ())
    if len(wanted) == len(tensor.shape) + 1 and wanted[-1] == 1:
        tensor.shape.append(1)
    return tensor


def _of_arrays(name: str, values: list[Any]) -> Tensor:
    array = np.stack(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("the model gave NaN or infinity")
    datatype = datatype_of(array)
    if datatype == "BYTES":
        texts = [str(value) for value in array.ravel().tolist()]
        return Tensor(name, datatype, list(array.shape), texts)
    return Tensor(name, datatype, list(array.shape), array)


def _unnested(values: list[Any]) -> tuple[list[int], list[Any]]:
    """Shape and values of evenly nested lists; other lists are values themselves."""
    shape = [len(values)]
    while values and type(values[0]) is list:
        length = len(values[0])
        if any(type(row) is not list or len(row) != length for row in values):
            break
        shape.append(length)
        values = list(chain.from_iterable(values))
    return shape, values


def _datatype(values: list[Any], described: str) -> str:
    """The model's own datatype where it can hold the values, else that of the values."""
    found = datatype_of_values(values) if values else "FP64"
    fits = found == "INT64" and described.startswith(("FP", "INT", "UINT"))
    return described if fits or (found == "FP64" and described.startswith("FP")) else found


def observed(described: _Described, predictions: list[Any]) -> list[dict[str, Any]]:
    """The description of a model's outputs, or, where an answer contradicts it, the answer's."""
    tensors = output_tensors(predictions, described)
    known = {each["name"]: each["shape"] for each in described}
    if all(_agrees(known.get(tensor.name), tensor.shape) for tensor in tensors):
        return list(described)
    return [
        {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *tensor.shape[1:]]}
        for tensor in tensors
    ]


def _agrees(described: list[int] | None, shape: list[int]) -> bool:
    if described is None or len(described) != len(shape):
        return False
    pairs = zip(described[1:], shape[1:], strict=True)
    return all(length in (-1, found) for length, found in pairs)


def _text(value: Any) -> str:
    return orjson.dumps(value, default=plain).decode()


def json_of(tensor: Tensor) -> dict[str, Any]:
    """The tensor with its data in the JSON."""
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
        "data": tensor.flat,
    }


def tensors_of(predictions: list[Any], described: _Described = ()) -> list[dict[str, Any]]:
    """V2 outputs of predictions, as JSON."""
    return [json_of(tensor) for tensor in output_tensors(predictions, described)]


def v2_body(
    head: dict[str, Any], key: str, tensors: Sequence[Tensor], wanted: Wanted
) -> tuple[bytes, int | None]:
    """A V2 body with `tensors` as its inputs or outputs (`key`), and the length of its JSON where
    bytes follow it. Raises BadRequest where an output is wanted that is not there."""
    wanted.check([tensor.name for tensor in tensors])
    if wanted.names is not None:
        named = {tensor.name: tensor for tensor in tensors}
        tensors = [named[name] for name in wanted.names]
    entries, parts = [], []
    for tensor in tensors:
        if not wanted.is_binary(tensor.name):
            entries.append(json_of(tensor))
            continue
        part = bytes_of(tensor)
        parts.append(part)
        entry = {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype}
        entries.append(entry | {"parameters": {"binary_data_size": len(part)}})
    text = orjson.dumps(head | {key: entries})
    return (b"".join([text, *parts]), len(text)) if parts else (text, None)

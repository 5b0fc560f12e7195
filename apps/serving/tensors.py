"""Tensors of the Open Inference Protocol: their datatypes, in JSON and as raw bytes.

https://github.com/kserve/open-inference-protocol and, for bytes, Triton's binary tensor data
extension. BYTES are UTF-8 texts here, because records hold text.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from apps.serving.errors import BadRequest

DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_NUMBERS = {int, float}
_TYPES: dict[str, set[type]] = dict.fromkeys(DTYPES, _NUMBERS) | {"BOOL": {bool}}
_TYPES["BYTES"] = {str}
# Rows of this many values stay Python values, as tables need them; wider ones are arrays.
_PLAIN_WIDTH = 1024
_MOST_DIMENSIONS = 32
_LENGTH = struct.Struct("<I")
_WORDS = {bool: "true or false", str: "text", dict: "an object", list: "a list", float: "fractions"}


@dataclass(slots=True)
class Tensor:
    """`values` are an array in the tensor's shape, or Python values in one flat list."""

    name: str
    datatype: str
    shape: list[int]
    values: Any

    @property
    def flat(self) -> list[Any]:
        values: Any = self.values
        listed: list[Any] = values.ravel().tolist() if is_array(values) else values
        return listed


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def datatype_of(array: Any) -> str:
    """The protocol's name of an array's dtype; BYTES where it has none."""
    return _NAMES.get(array.dtype.newbyteorder("<"), "BYTES")


def datatype_of_values(values: Iterable[Any]) -> str:
    """The one datatype of Python values; BYTES, so text, where they have none in common."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return "FP64"
    names = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
    return names.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"


def read_tensors(entries: Any, raw: bytes | memoryview = b"", kind: str = "input") -> list[Tensor]:
    """The tensors of `inputs` or `outputs`, each with its `data` or with its part of `raw`.

    Raises BadRequest with the tensor's name for every way in which one contradicts itself.
    """
    if not isinstance(entries, list) or not entries:
        raise BadRequest(f'"{kind}s" must be a list of at least one tensor')
    tensors: list[Tensor] = []
    names: set[str] = set()
    place = 0
    for entry in entries:
        name, datatype, shape = _head(entry, kind)
        if name in names:
            raise BadRequest(f'The {kind} "{name}" is there twice')
        names.add(name)
        what = f'{kind.capitalize()} "{name}"'
        size = _binary_size(entry, what)
        if size is None:
            tensors.append(_from_json(name, datatype, shape, entry["data"], what))
            continue
        if size > len(raw) - place:
            text = f"{what} says binary_data_size {size}; only {len(raw) - place} bytes are left"
            raise BadRequest(f"{text} (is Inference-Header-Content-Length right?)")
        part = memoryview(raw)[place : place + size]
        tensors.append(_from_bytes(name, datatype, shape, part, what, kind == "input"))
        place += size
    if place != len(raw):
        raise BadRequest(f"{len(raw) - place} bytes are left over after the last {kind}")
    return tensors


def _head(entry: Any, kind: str) -> tuple[str, str, list[int]]:
    if not isinstance(entry, dict) or not {"name", "shape", "datatype"} <= entry.keys():
        raise BadRequest(f"A V2 {kind} needs name, shape, datatype and data")
    name, shape, datatype = entry["name"], entry["shape"], entry["datatype"]
    if not isinstance(name, str):
        raise BadRequest(f"The name of a V2 {kind} must be text")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f'The shape of {kind} "{name}" must be a list of whole numbers')
    if len(shape) > _MOST_DIMENSIONS or 0 in shape[1:]:
        text = f"must have at most {_MOST_DIMENSIONS} dimensions, each but the first above 0"
        raise BadRequest(f'The shape of {kind} "{name}" {text}')
    if not isinstance(datatype, str) or datatype not in _TYPES:
        hint = "send FP32 instead" if datatype == "BF16" else f"known are {', '.join(_TYPES)}"
        raise BadRequest(f'{kind.capitalize()} "{name}" has no datatype served here; {hint}')
    return name, datatype, shape


def _binary_size(entry: dict[str, Any], what: str) -> int | None:
    """The tensor's bytes after the JSON; None where its data stand in the JSON."""
    parameters = entry.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadRequest(f"The parameters of {_lower(what)} must be an object")
    size = (parameters or {}).get("binary_data_size")
    if size is None:
        if "data" not in entry:
            raise BadRequest(f"{what} needs name, shape, datatype and data")
        return None
    if "data" in entry:
        raise BadRequest(f"{what} has both data and binary_data_size")
    if type(size) is not int or size < 0:
        raise BadRequest(f"The binary_data_size of {_lower(what)} must be a whole number of bytes")
    return size


def _from_json(name: str, datatype: str, shape: list[int], data: Any, what: str) -> Tensor:
    if not isinstance(data, list):
        raise BadRequest(f"The data of {_lower(what)} must be a list")
    flat, count = _flat(data, shape, what), math.prod(shape)
    if len(flat) != count:
        raise BadRequest(f"{what} has {len(flat)} values; its shape {shape} needs {count}")
    types = set(map(type, flat))
    if not types <= _TYPES[datatype] and (wrong := types - _TYPES[datatype] - {type(None)}):
        held = " and ".join(sorted(_WORDS.get(each, "numbers") for each in wrong))
        raise BadRequest(f"{what} is {datatype} and holds {held}")
    if _is_plain(datatype, shape):
        return Tensor(name, datatype, shape, _exact(flat, datatype, types, what))
    if type(None) in types:
        raise BadRequest(f"{what} holds null; a tensor has a value in every place")
    return Tensor(name, datatype, shape, _array(flat, datatype, types, what).reshape(shape))


def _is_plain(datatype: str, shape: list[int]) -> bool:
    if datatype == "BYTES" or not shape or not shape[0]:
        return True
    return len(shape) <= 2 and math.prod(shape[1:]) <= _PLAIN_WIDTH


def _flat(data: list[Any], shape: list[int], what: str) -> list[Any]:
    """The values of data that is flat, or nested as its shape says."""
    for length in shape[1:]:
        if not data or not isinstance(data[0], list):
            break
        if not all(isinstance(row, list) for row in data):
            raise BadRequest(f"{what}: the data of an input must be nested evenly")
        if any(len(row) != length for row in data):
            raise BadRequest(f"{what}: the data is not nested as its shape {shape} says")
        data = list(chain.from_iterable(data))
    return data


def _exact(flat: list[Any], datatype: str, types: set[type], what: str) -> list[Any]:
    """The values as the datatype holds them: a single-precision number as it is, widened."""
    if datatype in ("FP64", "BYTES", "BOOL"):
        return flat
    known = [value for value in flat if value is not None]
    exact: list[Any] = _array(known, datatype, types, what).tolist()
    if len(exact) == len(flat):
        return exact
    remaining = iter(exact)
    return [None if value is None else next(remaining) for value in flat]


def _array(flat: list[Any], datatype: str, types: set[type], what: str) -> np.ndarray:
    dtype = DTYPES[datatype]
    try:
        if dtype.kind in "iu" and float in types:
            if not all(type(value) is int or value.is_integer() for value in flat):
                raise BadRequest(f"{what} is {datatype} and holds fractions")
            flat = [int(value) for value in flat]
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=dtype)
    except OverflowError:
        raise BadRequest(f"{what} holds a number that {datatype} cannot hold") from None
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise BadRequest(f"{what} holds a number too large for {datatype}")
    return array


def _from_bytes(
    name: str,
    datatype: str,
    shape: list[int],
    part: memoryview,
    what: str,
    nan_is_missing: bool = False,
) -> Tensor:
    count = math.prod(shape)
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, _texts(part, count, what))
    dtype = DTYPES[datatype]
    if len(part) != count * dtype.itemsize:
        text = f"its shape {shape} of {datatype} needs {count * dtype.itemsize}"
        raise BadRequest(f"{what} has {len(part)} bytes; {text}")
    array = np.frombuffer(part, dtype)
    if datatype == "BOOL" and count and np.frombuffer(part, "u1").max() > 1:
        raise BadRequest(f"{what} is BOOL and has bytes other than 0 and 1")
    plain = _is_plain(datatype, shape)
    finite = dtype.kind != "f" or bool(np.isfinite(array).all())
    if not finite and not (plain and nan_is_missing and not np.isinf(array).any()):
        raise BadRequest(f"{what} holds NaN or infinity")
    if not plain:
        return Tensor(name, datatype, shape, array.reshape(shape))
    values = array.tolist()
    if not finite:
        values = [None if math.isnan(value) else value for value in values]
    return Tensor(name, datatype, shape, values)


def _texts(part: memoryview, count: int, what: str) -> list[str]:
    """BYTES: each element a length of four bytes, little end first, and as many bytes of UTF-8."""
    texts: list[str] = []
    place = 0
    while place < len(part):
        if len(part) - place < 4:
            raise BadRequest(f"{what}: {len(part) - place} bytes are left over after its texts")
        (length,) = _LENGTH.unpack_from(part, place)
        place += 4
        if length > len(part) - place:
            text = f"text {len(texts)} says {length} bytes; {len(part) - place} are left"
            raise BadRequest(f"{what}: {text}")
        try:
            texts.append(str(part[place : place + length], "utf-8"))
        except UnicodeDecodeError:
            raise BadRequest(f"{what}: text {len(texts)} is not UTF-8") from None
        place += length
    if len(texts) != count:
        raise BadRequest(f"{what} has {len(texts)} texts; its shape needs {count}")
    return texts


def bytes_of(tensor: Tensor) -> bytes:
    """The tensor's raw bytes, as the binary extension wants them."""
    if tensor.datatype == "BYTES":
        texts = [str(value).encode() for value in tensor.flat]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    values: Any = tensor.values
    return np.ascontiguousarray(values, DTYPES[tensor.datatype]).tobytes()


def as_described(tensor: Tensor, described: Sequence[dict[str, Any]]) -> Tensor:
    """The tensor in the datatype in which the model takes it; only arrays are turned.

    Fractions may lose precision, as they do in JSON. Raises BadRequest where a value would become
    another one.
    """
    known = {each.get("name"): each.get("datatype") for each in described}
    only = described[0].get("datatype") if len(described) == 1 else None
    wanted = known.get(tensor.name, only)
    dtype = DTYPES.get(wanted or "")
    values: Any = tensor.values
    if dtype is None or not is_array(values) or values.dtype == dtype:
        return tensor
    with np.errstate(over="ignore", invalid="ignore"):
        turned = values.astype(dtype)
    holds = np.isfinite(turned) if dtype.kind == "f" else turned == values
    if not holds.all():
        text = f"the model takes {wanted}, which cannot hold all of its values"
        raise BadRequest(f'Input "{tensor.name}" is {tensor.datatype}; {text}')
    return Tensor(tensor.name, str(wanted), tensor.shape, turned)


def rows_of(tensors: Sequence[Tensor]) -> list[Any]:
    """Instances: one tensor of shape [n, …] gives a list or an array a row, several an object.

    A column, of shape [n] or [n, 1] beside others, gives a plain value to its name.
    """
    first = tensors[0]
    if len(tensors) == 1 and len(first.shape) >= 2:
        return split(first)
    count = first.shape[0] if first.shape else 0
    for tensor in tensors:
        if not tensor.shape or tensor.shape[0] != count:
            raise BadRequest(f'Input "{tensor.name}" must have one value for each of {count} rows')
    names = [tensor.name for tensor in tensors]
    columns = [each.values if _is_column(each) else split(each) for each in tensors]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _is_column(tensor: Tensor) -> bool:
    """True where each row is one value; such values are Python's, whatever their number."""
    shape = tensor.shape
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)


def split(tensor: Tensor) -> list[Any]:
    """One entry per index of the first dimension."""
    values: Any = tensor.values
    if is_array(values):
        return list(values)
    for length in reversed(tensor.shape[1:]):
        values = [values[start : start + length] for start in range(0, len(values), length)]
    return list(values)


def listed(instance: Any) -> Any:
    """An instance without arrays, for servers that take JSON alone."""
    if is_array(instance):
        return instance.tolist()
    if type(instance) is dict:
        return {name: listed(value) for name, value in instance.items()}
    return instance


def plain(value: Any) -> Any:
    """What `orjson.dumps` cannot write itself, as Python values. Raises TypeError for the rest."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError("the model gave NaN or infinity")
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def _lower(what: str) -> str:
    return what[0].lower() + what[1:]

"""Tensors inside JSON, exact in every bit: how records keep large ones, and how they come back."""

import base64
import binascii
import hashlib
from typing import Any

import numpy as np

from apps.serving.errors import BadRequest
from apps.serving.tensors import DTYPES, datatype_of, read_tensors

TENSOR = "$tensor"


def as_object(array: np.ndarray) -> dict[str, Any]:
    """An array as an object of its datatype, shape, SHA-256 and bytes; `restored` reads it."""
    raw = np.ascontiguousarray(array).tobytes()
    content = {
        "datatype": datatype_of(array),
        "shape": list(array.shape),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "base64": base64.b64encode(raw).decode(),
    }
    return {TENSOR: content}


def restored(instance: Any) -> Any:
    """An instance in which every object made by `as_object` is an array again.

    Raises BadRequest where one was altered.
    """
    if not isinstance(instance, dict):
        return instance
    if instance.keys() != {TENSOR}:
        return {name: restored(value) for name, value in instance.items()}
    content = instance[TENSOR]
    try:
        raw = base64.b64decode(content["base64"], validate=True)
        datatype, shape = content["datatype"], [1, *content["shape"]]
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise BadRequest(f"A {TENSOR} needs datatype, shape and base64") from None
    if content.get("sha256", hashlib.sha256(raw).hexdigest()) != hashlib.sha256(raw).hexdigest():
        raise BadRequest(f"The base64 of a {TENSOR} does not have its sha256")
    if datatype == "BYTES":
        raise BadRequest(f"A {TENSOR} holds numbers; send texts as a list")
    entry = {"name": TENSOR, "datatype": datatype, "shape": shape}
    entry["parameters"] = {"binary_data_size": len(raw)}
    (tensor,) = read_tensors([entry], raw, "tensor")
    return np.asarray(tensor.values, DTYPES[datatype]).reshape(shape[1:])

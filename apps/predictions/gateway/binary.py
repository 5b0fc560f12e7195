"""Tensors on their way through the gateway: to a model server as bytes, into a record as text."""

from typing import Any

import orjson

from apps.deployments.wire import (
    BadRequest,
    Tensor,
    Wanted,
    as_described,
    as_object,
    datatype_of,
    is_array,
    output_tensors,
    plain,
    read_tensors,
    split,
    split_body,
    v2_body,
)
from apps.predictions.gateway.errors import GatewayError

# Rows of outputs up to this size become lists, as tables and classes have them.
_LISTED_VALUES = 4096


def infer_body(instances: list[Any], inputs: list[dict[str, Any]]) -> tuple[bytes, int | None]:
    """A V2 body with the instances as raw bytes, and the length of its JSON.

    Raises GatewayError 400 where the instances have different shapes or names.
    """
    return _body(_tensors(instances, inputs))


def infer_body_as_described(
    instances: list[Any], inputs: list[dict[str, Any]]
) -> tuple[bytes, int | None]:
    """The same in the datatypes of the inputs, for servers that take no others."""
    tensors = _tensors(instances, inputs)
    try:
        turned = [as_described(tensor, inputs) for tensor in tensors]
    except BadRequest as error:
        raise GatewayError(400, error.message) from None
    return _body(turned)


def _tensors(instances: list[Any], inputs: list[dict[str, Any]]) -> list[Tensor]:
    try:
        return output_tensors(instances, inputs)
    except (ValueError, TypeError) as error:
        text = f"The instances do not form a tensor: {error}"
        raise GatewayError(400, text) from None


def _body(tensors: list[Tensor]) -> tuple[bytes, int | None]:
    head = {"parameters": {"binary_data_output": True}}
    return v2_body(head, "inputs", tensors, Wanted(all_binary=True))


def predictions_in(body: bytes, header_length: bytes | None) -> list[Any]:
    """One prediction a row of a V2 answer: a value, a list or an array, or an object by output
    name. Raises ValueError where it is none."""
    try:
        text, raw = split_body(body, header_length)
        tensors = read_tensors(orjson.loads(text)["outputs"], raw, "output")
    except BadRequest as error:
        raise ValueError(error.message) from None
    columns = {tensor.name: [_small(row) for row in split(tensor)] for tensor in tensors}
    if len(columns) == 1:
        return next(iter(columns.values()))
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _small(row: Any) -> Any:
    return row.tolist() if is_array(row) and row.size <= _LISTED_VALUES else row


def recorded(value: Any, largest_json_bytes: int) -> str:
    """The JSON text that a record keeps of an instance or a prediction, exact in every bit.

    An array of more bytes than `largest_json_bytes` is kept as `{"$tensor": …}`, its bytes in
    base64 with their SHA-256; what the text holds can be sent again as an instance.
    """

    def otherwise(array: Any) -> Any:
        if is_array(array) and array.nbytes > largest_json_bytes:
            return as_object(array)
        return plain(array)

    return orjson.dumps(value, default=otherwise).decode()


def summary(value: Any) -> str:
    """A prediction in a few words, for the lists in which it is found."""

    def otherwise(array: Any) -> Any:
        return f"{datatype_of(array)} {'×'.join(map(str, array.shape))}"

    return (
        orjson.dumps(value, default=otherwise).decode() if not is_array(value) else otherwise(value)
    )

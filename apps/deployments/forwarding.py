"""Instances to a server's own protocol and back, by the signature of its component."""

from typing import Any
from urllib.parse import quote


def request_of(signature: dict[str, Any], instances: list[Any]) -> tuple[str, dict[str, Any]]:
    """Path and body of a prediction. Raises ValueError where instances do not fit the inputs."""
    name = quote(str(signature["name"]))
    if signature["protocol"] == "v1":
        return f"/v1/models/{name}:predict", {"instances": instances}
    described = _inputs(signature, instances)
    inputs = [
        _tensor(each, [_value(row, each["name"], position, len(described)) for row in instances])
        for position, each in enumerate(described)
    ]
    return f"/v2/models/{name}/infer", {"inputs": inputs}


def rows_of(signature: dict[str, Any], answer: Any) -> list[Any]:
    """One output an instance. Raises ValueError where the answer is not what the protocol says."""
    if not isinstance(answer, dict):
        raise ValueError("The model's answer is no JSON object.")
    if signature["protocol"] == "v1":
        rows = answer.get("predictions")
        if not isinstance(rows, list):
            raise ValueError("The model's answer has no list of predictions.")
        return rows
    outputs = answer.get("outputs")
    if not isinstance(outputs, list) or not outputs:
        raise ValueError("The model's answer has no outputs.")
    columns = {str(output["name"]): _nested(output) for output in outputs}
    if len(columns) == 1:
        return next(iter(columns.values()))
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _inputs(signature: dict[str, Any], instances: list[Any]) -> list[dict[str, Any]]:
    """The inputs that the server names; where it names none, the features, or one tensor."""
    if signature["inputs"]:
        return list(signature["inputs"])
    if isinstance(instances[0], dict):
        return [{"name": name, "datatype": _kind(value)} for name, value in instances[0].items()]
    return [{"name": "input-0", "datatype": "FP64"}]


def _value(row: Any, name: str, position: int, inputs: int) -> Any:
    """What an instance gives to one input: by name, all of it to an only one, or by position."""
    if isinstance(row, dict) and name in row:
        return row[name]
    if inputs == 1:
        return list(row.values()) if isinstance(row, dict) else row
    if isinstance(row, list) and len(row) == inputs:
        return row[position]
    raise ValueError(f"An instance has no value for the model's input {name}.")


def _tensor(described: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    shape = _shape(values)
    flat = _flat(values, len(shape))
    wanted = described.get("shape") or []
    if len(wanted) == len(shape) + 1 and wanted[-1] == 1:
        shape.append(1)
    name, datatype = str(described["name"]), described.get("datatype", "FP64")
    return {"name": name, "datatype": datatype, "shape": shape, "data": flat}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOL"
    return "BYTES" if isinstance(value, str) else "FP64"


def _shape(values: Any) -> list[int]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return shape


def _flat(values: list[Any], depth: int) -> list[Any]:
    if depth <= 1:
        return values
    return [each for row in values for each in _flat(row, depth - 1)]


def _nested(output: dict[str, Any]) -> list[Any]:
    """Row-major data in its shape; the last of shape (n, 1) is a plain value."""
    data, shape = output.get("data"), [int(size) for size in output.get("shape") or []]
    if not isinstance(data, list):
        raise ValueError(f"The output {output.get('name')} has no data.")
    if data and isinstance(data[0], list):
        return data
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    for size in reversed(shape[1:]):
        data = [data[start : start + size] for start in range(0, len(data), size)]
    return data

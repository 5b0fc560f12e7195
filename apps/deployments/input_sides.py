"""How many sides one instance of a model has, as far as that is told without loading it."""

import logging
from typing import Any

from apps.registry import storage
from apps.registry.models import ModelVersion
from apps.serving.detect_graphs import ranks_of_onnx
from apps.serving.errors import BadRequest
from apps.serving.protobuf import NotProtobuf
from apps.serving.protocol import instances_of

log = logging.getLogger(__name__)
SEVERAL = 0


def sides_of(version: ModelVersion) -> int | None:
    """1 for a row of values, 2 or 3 for a picture, SEVERAL for several inputs; None where neither
    the metadata nor the file tells."""
    shape = version.metadata.get("inputTensorShape")
    for found in (_of_shape(shape), _of_example(version.metadata), _of_graph(version)):
        if found is not None:
            return found
    return None


def _of_shape(shape: Any) -> int | None:
    if isinstance(shape, dict):
        return _of_shape(next(iter(shape.values()))) if len(shape) == 1 else SEVERAL
    if not isinstance(shape, list) or not shape:
        return None
    return len(shape) - int(shape[0] == -1)


def _of_example(metadata: dict[str, Any]) -> int | None:
    try:
        instances = instances_of(metadata["exampleInput"])
    except (KeyError, BadRequest):
        return None
    instance = instances[0] if instances else None
    if isinstance(instance, dict):
        if len(instance) > 1:
            return SEVERAL
        instance = next(iter(instance.values()), None)
    return _depth(instance) or None


def _depth(value: Any) -> int:
    """How deeply lists, or an array, are nested."""
    if hasattr(value, "ndim"):
        return int(value.ndim)
    return 1 + _depth(value[0] if value else None) if isinstance(value, list) else 0


def _of_graph(version: ModelVersion) -> int | None:
    if version.framework != ModelVersion.Framework.ONNX or version.artifact is None:
        return None
    try:
        ranks = ranks_of_onnx(storage.path_of(version.artifact.sha256))
    except (OSError, NotProtobuf) as error:
        log.warning("The graph of %s cannot be looked into: %s", version, error)
        return None
    if len(ranks) > 1:
        return SEVERAL
    return ranks[0] - 1 if ranks and ranks[0] > 1 else None

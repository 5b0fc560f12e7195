"""ONNX models, run by onnxruntime: tensors, or named columns where every one is an input."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from apps.serving.errors import BadRequest, LoadError
from apps.serving.loaders.base import first_line
from apps.serving.loaders.tensors import Tensor, TensorModel
from apps.serving.spec import ServerSpec

_KINDS = {
    "float": "float32", "double": "float64", "float16": "float16", "bool": "bool",
    "string": "object", "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
}  # fmt: skip
_ERRORS = onnxruntime.capi.onnxruntime_pybind11_state


def load(spec: ServerSpec) -> TensorModel:
    """Reads the graph; raises LoadError where it is none or needs operators of its own."""
    content = Path(spec.artifact).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = spec.limits.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        here = onnxruntime.__version__
        why = first_line(error)
        raise LoadError(f"onnxruntime {here} cannot read the model: {why}") from error
    inputs = [_tensor(each) for each in session.get_inputs()]
    if not inputs:
        raise LoadError("The ONNX graph takes no inputs; export the model that predicts")
    wanted = _wanted(spec.metadata, session.get_outputs())
    outputs = [_tensor(each) for each in wanted if each.type.startswith("tensor(")]
    if len(outputs) != len(wanted):
        outputs = []  # maps of classes are known once they were seen

    def run(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
        named = {each.name: array for each, array in zip(inputs, arrays, strict=True)}
        try:
            found = session.run([each.name for each in wanted], named)
        except (_ERRORS.InvalidArgument, _ERRORS.Fail, _ERRORS.RuntimeException) as error:
            raise BadRequest(f"The values do not suit the model: {first_line(error)}") from None
        return {each.name: _array(value) for each, value in zip(wanted, found, strict=True)}

    fixed = max([each.shape[0] for each in inputs if each.shape], default=-1)
    about = {
        "framework": "onnx",
        "frameworkVersion": onnxruntime.__version__,
        "estimator": session.get_modelmeta().graph_name or "graph",
        "featureCount": None,
    }
    return TensorModel(spec, inputs, outputs, run, about=about, batch=max(fixed, 0))


def _wanted(metadata: dict[str, Any], outputs: list[Any]) -> list[Any]:
    """The outputs that answer. Converters of classifiers give a label and probabilities: the
    problem type says which of the two is the prediction."""
    problem = metadata.get("problemType") or ""
    if metadata.get("outputName") or len(outputs) != 2 or not problem.startswith("classification"):
        return outputs
    label, probabilities = outputs
    if label.type not in ("tensor(int64)", "tensor(string)") or "float" not in probabilities.type:
        return outputs
    return [label if problem == "classification" else probabilities]


def _tensor(each: Any) -> Tensor:
    kind = each.type.removeprefix("tensor(").removesuffix(")")
    if not each.type.startswith("tensor(") or kind not in _KINDS:
        raise LoadError(f"The ONNX graph takes {each.name} as {each.type}, which is not served")
    shape = tuple(side if isinstance(side, int) else -1 for side in each.shape)
    return Tensor(each.name, np.dtype(_KINDS[kind]), shape)


def _array(value: Any) -> np.ndarray:
    """A list of maps from class to probability becomes a table, in the order of the classes."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        classes = list(value[0])
        return np.array([[row[each] for each in classes] for row in value], dtype=np.float32)
    return np.asarray(value)

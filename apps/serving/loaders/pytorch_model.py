"""PyTorch models: TorchScript, programs of torch.export, and weights with the module's file."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apps.serving.errors import LoadError, ModelFailure
from apps.serving.loaders.base import first_line
from apps.serving.loaders.folders import folder_of
from apps.serving.loaders.tensors import Tensor, TensorModel, given_inputs
from apps.serving.spec import ServerSpec

_MODULE = "deeploy_module"


def load(spec: ServerSpec) -> TensorModel:
    """Reads the file in its format; raises LoadError where it is no such file."""
    torch.set_num_threads(max(1, spec.limits.threads))
    readers = {
        "torchscript": _torchscript,
        "torch-export": _exported,
        "torch-state-dict": _state_dict,
    }
    if spec.format not in readers:
        raise LoadError(f"The format {spec.format} is none of PyTorch's: {', '.join(readers)}")
    return readers[spec.format](spec)


def _torchscript(spec: ServerSpec) -> TensorModel:
    try:
        module = torch.jit.load(spec.artifact, map_location="cpu").eval()
        arguments = module.forward.schema.arguments[1:]
    except (RuntimeError, ValueError, OSError, AttributeError) as error:
        raise LoadError(_cannot("TorchScript", error)) from error
    names = [each.name for each in arguments if not each.has_default_value()]
    return _model(spec, module, given_inputs(spec.metadata, names), [])


def _exported(spec: ServerSpec) -> TensorModel:
    try:
        program = torch.export.load(spec.artifact)
        module = program.module()
    except Exception as error:
        raise LoadError(_cannot("torch.export", error)) from error
    values = {
        node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"
    }
    inputs = [_tensor(name, values[name]) for name in program.graph_signature.user_inputs]
    batches = {each.shape[0] for each in inputs if each.shape}
    batch = max(batches | {-1})
    return _model(spec, module, inputs, [], batch=max(batch, 0))


def _state_dict(spec: ServerSpec) -> TensorModel:
    folder = folder_of(spec)
    weights = folder / "state_dict.pt"
    if not weights.is_file():
        raise LoadError("The archive holds no state_dict.pt beside module.py; pack both")
    asked = spec.metadata.get("pytorch") or {}
    module = _class_in(folder, str(asked.get("class") or ""))
    try:
        made = module(**(asked.get("arguments") or {}))
    except TypeError as error:
        raise LoadError(
            f"{module.__name__} cannot be made: {first_line(error)}. Give what its constructor "
            'takes as "pytorch": {"arguments": {…}} in the metadata'
        ) from error
    try:
        found = torch.load(weights, map_location="cpu", weights_only=True)
        made.load_state_dict(found, assign=True)  # in the precision in which they were saved
    except Exception as error:
        raise LoadError(_cannot("the weights of state_dict.pt", error)) from error
    made.eval()
    return _model(spec, made, given_inputs(spec.metadata, _arguments_of(made)), [])


def _class_in(folder: Path, name: str) -> Any:
    """The class of module.py that is the model. Running the file is what a state dict takes."""
    made = importlib.util.spec_from_file_location(_MODULE, folder / "module.py")
    if made is None or made.loader is None:
        raise LoadError("module.py cannot be read as Python")
    module = importlib.util.module_from_spec(made)
    sys.modules[_MODULE] = module
    sys.path.insert(0, str(folder))
    try:
        made.loader.exec_module(module)
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise LoadError(f"module.py cannot be run: {why}") from error
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, torch.nn.Module)
        and value.__module__ == _MODULE
    }
    if name:
        if name not in classes:
            raise LoadError(f"module.py has no class {name}; it has {', '.join(classes) or 'none'}")
        return classes[name]
    if len(classes) != 1:
        raise LoadError(
            f"module.py has {len(classes)} classes of torch.nn.Module ({', '.join(classes)}); name "
            'the model as "pytorch": {"class": "…"} in the metadata'
        )
    return next(iter(classes.values()))


def _arguments_of(module: torch.nn.Module) -> list[str]:
    code = type(module).forward.__code__
    defaults = len(type(module).forward.__defaults__ or ())
    return list(code.co_varnames[1 : code.co_argcount - defaults]) or ["input"]


def _model(
    spec: ServerSpec, module: Any, inputs: list[Tensor], outputs: list[Tensor], batch: int = 0
) -> TensorModel:
    def run(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return _named(module(*[torch.from_numpy(array) for array in arrays]))

    def slopes(array: np.ndarray, name: str, place: int) -> np.ndarray:
        with torch.enable_grad():
            given = torch.from_numpy(array).requires_grad_(True)
            found = _outputs(module(given))
            values = found[name] if name else next(iter(found.values()))
            picked = values.reshape(len(array), -1)[:, place].sum()
            return _numpy(torch.autograd.grad(picked, given)[0])

    about = {
        "framework": "pytorch",
        "frameworkVersion": torch.__version__.partition("+")[0],
        "estimator": getattr(module, "original_name", type(module).__name__),
        "featureCount": None,
    }
    return TensorModel(
        spec, inputs, outputs, run, about=about, batch=batch, native=module, slopes=slopes
    )


def _tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, torch.Tensor):
        raise LoadError(f"The input {name} of the program is no tensor; export it with tensors")
    shape = tuple(side if type(side) is int else -1 for side in value.shape)
    return Tensor(name, _numpy(torch.zeros((), dtype=value.dtype)).dtype, shape)


def _named(result: Any) -> dict[str, np.ndarray]:
    return {name: _numpy(value) for name, value in _outputs(result).items()}


def _outputs(result: Any) -> dict[str, torch.Tensor]:
    """The outputs by name: keys, fields of a named tuple, or positions."""
    if isinstance(result, torch.Tensor):
        return {"output": result}
    if hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, list | tuple):
        result = {f"output_{number}": value for number, value in enumerate(result)}
    if not isinstance(result, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in result.values()
    ):
        kind = type(result).__name__
        raise ModelFailure(f"The model gave a {kind}; it must give tensors, in a list or by name")
    return {str(name): value for name, value in result.items()}


def _numpy(value: torch.Tensor) -> np.ndarray:
    """bfloat16, which numpy lacks, widens to float32."""
    value = value.float() if value.dtype == torch.bfloat16 else value
    found: np.ndarray = value.detach().cpu().contiguous().numpy()
    return found


def _cannot(what: str, error: Exception) -> str:
    here = torch.__version__.partition("+")[0]
    reason = first_line(error)
    return f"PyTorch {here} cannot read {what}: {type(error).__name__}: {reason}"

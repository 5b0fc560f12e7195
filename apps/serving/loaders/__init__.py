"""One file per framework, one row in the table: how an artifact becomes a `LoadedModel`."""

from collections.abc import Callable
from importlib import import_module

from apps.serving.errors import LoadError
from apps.serving.loaders.base import LoadedModel
from apps.serving.spec import ServerSpec

_LOADERS = {
    "sklearn": "apps.serving.loaders.sklearn_model",
    "xgboost": "apps.serving.loaders.xgboost_model",
    "pytorch": "apps.serving.loaders.pytorch_model",
    "tensorflow": "apps.serving.loaders.tensorflow_model",
    "onnx": "apps.serving.loaders.onnx_model",
    "lightgbm": "apps.serving.loaders.lightgbm_model",
    "catboost": "apps.serving.loaders.catboost_model",
    "mlflow": "apps.serving.loaders.mlflow_model",
}


def load(spec: ServerSpec) -> LoadedModel:
    """The model of `spec.artifact`. Raises LoadError with what to do about it."""
    if spec.framework not in _LOADERS:
        known = ", ".join(sorted(_LOADERS))
        raise LoadError(f"The framework {spec.framework} is not served here; known are {known}")
    loader: Callable[[ServerSpec], LoadedModel] = import_module(_LOADERS[spec.framework]).load
    return loader(spec)

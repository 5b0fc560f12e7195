"""MLflow model folders through their pyfunc flavour, with the columns of their signature."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")

import mlflow  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

from apps.serving.errors import BadRequest, LoadError, ModelFailure  # noqa: E402
from apps.serving.loaders.base import (  # noqa: E402
    Rows,
    column_inputs,
    first_line,
    outputs_of,
    problem_type,
)
from apps.serving.loaders.folders import folder_of  # noqa: E402
from apps.serving.loaders.tensors import Tensor, array_of, datatype_of  # noqa: E402
from apps.serving.spec import ServerSpec  # noqa: E402

Outputs = Mapping[str, np.ndarray] | np.ndarray


def load(spec: ServerSpec) -> "MlflowModel":
    """Loads the pyfunc of the folder; raises LoadError where that cannot be done here."""
    folder = folder_of(spec)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = mlflow.pyfunc.load_model(str(folder))
    except ModuleNotFoundError as error:
        raise LoadError(
            f"The model needs the Python module {error.name}, which is not installed here. Give "
            "the version a requirements.txt that names its packages and mlflow-skinny"
        ) from error
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise LoadError(f"MLflow {mlflow.__version__} cannot load the model: {why}") from error
    return MlflowModel(model, spec)


class MlflowModel:
    """A pyfunc: a frame where the signature has columns, an array where it has one tensor."""

    advice = ""

    def __init__(self, model: Any, spec: ServerSpec) -> None:
        self.model = self.native = model
        self.problem = problem_type(spec.metadata, "regression")
        signature = model.metadata.signature
        schema = signature.inputs if signature is not None else None
        self.tensors = _tensors(schema)
        self.kinds = _columns(schema)
        names = [feature["name"] for feature in spec.metadata.get("features") or []]
        if self.kinds and names and set(names) != set(self.kinds):
            different = sorted(set(names) ^ set(self.kinds))
            raise LoadError(
                "The features in the metadata are not the columns of the model's signature; "
                f"different: {', '.join(different[:10])}"
            )
        self._rows = Rows(names or list(self.kinds), object)
        self._named_inputs = column_inputs(names, spec.metadata.get("features") or [])
        self.outputs: list[Tensor] = []

    def predict(self, instances: list[Any]) -> list[Any]:
        """What the pyfunc gives for each instance; an object where it gives several columns."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                raw = self.model.predict(self._input(instances))
        except MlflowException as error:
            raise BadRequest(f"The values do not suit the model: {first_line(error)}") from None
        found = _named(raw)
        for values in found.values():
            if values.ndim < 1 or len(values) != len(instances):
                raise ModelFailure(
                    f"The model gave {values.shape[0] if values.ndim else 1} outputs for "
                    f"{len(instances)} instances"
                )
        if not self.outputs:
            self.outputs = [
                Tensor(name, values.dtype, (-1, *values.shape[1:]))
                for name, values in found.items()
            ]
        if len(found) == 1:
            return outputs_of(next(iter(found.values())))
        names = list(found)
        columns = [outputs_of(values) for values in found.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _input(self, instances: list[Any]) -> Any:
        if self.tensors:
            if len(self.tensors) == 1:
                only = self.tensors[0]
                values = [
                    row[only.name] if isinstance(row, dict) and only.name in row else row
                    for row in instances
                ]
                return array_of(values, only)
            try:
                return {
                    each.name: array_of([row[each.name] for row in instances], each)
                    for each in self.tensors
                }
            except (KeyError, TypeError) as error:
                raise BadRequest(f"The input {error} is missing") from None
        return self._frame(instances)

    def _frame(self, instances: list[Any]) -> pd.DataFrame:
        names = self._rows.names
        if not names and isinstance(instances[0], dict):
            names = list(instances[0])
        columns = self._rows.columns(instances)
        if names and len(columns) != len(names):
            raise BadRequest(f"An instance has {len(columns)} values; the model takes {len(names)}")
        series = {
            (names[at] if names else at): _column(
                values, self.kinds.get(names[at]) if names else None
            )
            for at, values in enumerate(columns)
        }
        return pd.DataFrame(series)

    def signature(self) -> dict[str, Any]:
        """The columns or tensors of MLflow's own signature; outputs are known once it ran."""
        inputs = [each.described() for each in self.tensors] or [
            {"name": name, "datatype": datatype_of(np.dtype(kind)), "shape": [-1]}
            for name, kind in self.kinds.items()
        ]
        outputs = [each.described() for each in self.outputs]
        return {"inputs": inputs or self._named_inputs, "outputs": outputs}

    def describe(self) -> dict[str, Any]:
        metadata = self.model.metadata
        return {
            "framework": "mlflow",
            "frameworkVersion": mlflow.__version__,
            "estimator": metadata.flavors["python_function"].get("loader_module", ""),
            "savedWith": metadata.mlflow_version,
            "featureNames": list(self.kinds) or None,
            "featureCount": len(self.kinds) or None,
            "classes": None,
            "probabilities": self.problem == "classificationWithProbabilities",
        }


def _tensors(schema: Any) -> list[Tensor]:
    if schema is None or not schema.is_tensor_spec():
        return []
    return [
        Tensor(str(each.name or "input"), np.dtype(each.type), tuple(each.shape))
        for each in schema.inputs
    ]


def _columns(schema: Any) -> dict[str, Any]:
    """By column its type, as pandas has it."""
    if schema is None or schema.is_tensor_spec():
        return {}
    names = [str(name) for name in schema.input_names()]
    kinds = [
        each.to_pandas() if hasattr(each, "to_pandas") else np.dtype(object)
        for each in schema.input_types()
    ]
    return dict(zip(names, kinds, strict=True))


def _column(values: tuple[Any, ...], kind: Any) -> pd.Series:
    """A column in the type of the signature; a gap makes floats of whole numbers."""
    if kind is None:
        return pd.Series(list(values))
    kind = np.dtype(kind)
    if kind.kind == "O":
        return pd.Series(list(values), dtype=object)
    gaps = any(value is None for value in values)
    try:
        found = np.array(values, dtype=np.float64 if gaps and kind.kind in "iub" else kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest(f"A value is no {kind}: {first_line(error)}") from None
    if kind.kind in "iu" and not gaps and not np.array_equal(found, np.array(values, dtype=float)):
        raise BadRequest(f"A value is no whole number, and the column takes {kind}")
    return pd.Series(found)


def _named(raw: Any) -> dict[str, np.ndarray]:
    """What a pyfunc gives, by name: columns, keys, or one output."""
    if isinstance(raw, pd.DataFrame):
        if raw.shape[1] == 1:
            return {"predict": raw.iloc[:, 0].to_numpy()}
        return {str(name): raw[name].to_numpy() for name in raw.columns}
    if isinstance(raw, Mapping):
        return {str(name): np.asarray(values) for name, values in raw.items()}
    if isinstance(raw, pd.Series):
        return {"predict": raw.to_numpy()}
    return {"predict": np.asarray(raw)}

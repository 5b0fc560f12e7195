"""scikit-learn estimators and pipelines, as skops, joblib or pickle."""

import pickle
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from apps.serving.detect import NotAModel, detect
from apps.serving.errors import LoadError
from apps.serving.loaders.base import (
    Rows,
    column_inputs,
    first_line,
    outputs_of,
    problem_type,
)
from apps.serving.skops_types import TRUSTED
from apps.serving.spec import ServerSpec
from apps.serving.tensors import datatype_of_values

_DTYPES = {"number": "float64", "integer": "int64", "boolean": "bool"}
_DEEPEST = 12


def load(spec: ServerSpec) -> "SklearnModel":
    """Reads the artifact; raises LoadError where it is no estimator or of another version."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = _read(spec)
        except (LoadError, MemoryError):
            raise
        except Exception as error:
            saved = _saved_version(caught) or _stamp(spec)
            raise LoadError(_reason(error, saved)) from error
    if not hasattr(estimator, "predict"):
        kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        raise LoadError(f"The file holds a {kind}, which has no predict; save the fitted model")
    return SklearnModel(estimator, spec, _saved_version(caught))


def _read(spec: ServerSpec) -> Any:
    if spec.format == "skops":
        return _read_skops(spec)
    if spec.format == "pickle":
        with open(spec.artifact, "rb") as file:
            return pickle.load(file)  # noqa: S301  model servers are where artifacts are unpickled
    return joblib.load(spec.artifact)


def _read_skops(spec: ServerSpec) -> Any:
    import skops.io

    unknown = sorted(set(skops.io.get_untrusted_types(file=spec.artifact)) - set(TRUSTED))
    refused = [name for name in unknown if name not in spec.trusted_types]
    if refused:
        raise LoadError(
            f"The skops file uses types that are not trusted: {', '.join(refused)}. Trust them "
            "for this version if you know where they come from, or save the model without them"
        )
    return skops.io.load(spec.artifact, trusted=[*TRUSTED, *spec.trusted_types])


def _saved_version(caught: list[warnings.WarningMessage]) -> str:
    for warning in caught:
        if isinstance(warning.message, InconsistentVersionWarning):
            return str(warning.message.original_sklearn_version)
    return ""


def _stamp(spec: ServerSpec) -> str:
    """The version that the file itself names, where loading did not come to say it."""
    try:
        return detect(Path(spec.artifact)).framework_version
    except NotAModel:
        return ""


def _reason(error: Exception, saved: str) -> str:
    here = sklearn.__version__
    if isinstance(error, ModuleNotFoundError):
        text = (
            f"The model needs the Python module {error.name}, which is not installed here. Save a "
            f"model that uses scikit-learn {here} alone, or bring the package"
        )
    else:
        why = f"{type(error).__name__}: {first_line(error)}"
        text = f"The model cannot be loaded with scikit-learn {here}: {why}"
    return text + _advice(saved)


def _advice(saved: str) -> str:
    """What to do about a model of another version; empty where it was saved with this one."""
    here = sklearn.__version__
    if not saved or saved == here:
        return ""
    return f". It was saved with scikit-learn {saved}; save it again with {here}, which serves it"


class SklearnModel:
    """A fitted estimator that takes a data frame where it was fitted on one, else an array."""

    def __init__(self, estimator: Any, spec: ServerSpec, saved: str = "") -> None:
        self.estimator = self.native = estimator
        self.advice = _advice(saved)
        features = self._features = spec.metadata.get("features") or []
        fitted_on = getattr(estimator, "feature_names_in_", None)
        self.framed = fitted_on is not None
        self.names = [feature["name"] for feature in features]
        if fitted_on is not None and not self.names:
            self.names = [str(name) for name in fitted_on]
        self.problem = self._problem(spec)
        probabilities = self.problem == "classificationWithProbabilities"
        self._call = estimator.predict_proba if probabilities else estimator.predict
        kinds = {feature["name"]: feature.get("type", "") for feature in features}
        self._dtypes = [_DTYPES.get(kinds.get(name, ""), "object") for name in self.names]
        numeric = not features or "object" not in self._dtypes
        self._rows = Rows(self.names, np.float64 if numeric else object)
        self._index = pd.Index(self.names)
        self._missing = _missing_value(estimator)

    def _problem(self, spec: ServerSpec) -> str:
        estimator = self.estimator
        can = hasattr(estimator, "predict_proba")
        default = "classification" if hasattr(estimator, "classes_") else "regression"
        problem = problem_type(spec.metadata, "classificationWithProbabilities" if can else default)
        if problem == "classificationWithProbabilities" and not can:
            raise LoadError(
                f"{type(estimator).__name__} has no predict_proba; set the problem type to "
                "classification"
            )
        return problem

    def predict(self, instances: list[Any]) -> list[Any]:
        """Class probabilities, labels or values, one per instance, as scikit-learn gives them.

        A model of several targets gives a list per instance, with probabilities a list of lists.
        """
        data, complete = self._frame(instances) if self.framed else self._array(instances)
        with sklearn.config_context(assume_finite=complete, skip_parameter_validation=True):
            answers = self._call(data)
        if isinstance(answers, list) and isinstance(answers[0], np.ndarray):
            targets = [outputs_of(np.asarray(answer)) for answer in answers]
            return [list(row) for row in zip(*targets, strict=True)]
        return outputs_of(np.asarray(answers))

    def _array(self, instances: list[Any]) -> tuple[np.ndarray, bool]:
        data = self._rows.array(instances)
        if data.dtype != object:
            return data, not np.isnan(data).any()
        gaps = np.equal(data, np.array(None))
        data[gaps] = self._missing
        return data, not gaps.any()

    def _frame(self, instances: list[Any]) -> tuple[pd.DataFrame, bool]:
        columns = self._rows.columns(instances)
        complete = not any(None in column for column in columns)
        index = pd.RangeIndex(len(instances))
        arrays = {
            position: _column(values, dtype, self._missing, index)
            for position, (values, dtype) in enumerate(zip(columns, self._dtypes, strict=True))
        }
        frame = pd.DataFrame(arrays, index=index, copy=False)
        frame.columns = self._index
        return frame, complete

    def describe(self) -> dict[str, Any]:
        names = getattr(self.estimator, "feature_names_in_", None)
        return {
            "framework": "sklearn",
            "frameworkVersion": sklearn.__version__,
            "estimator": type(self.estimator).__name__,
            "featureNames": None if names is None else [str(name) for name in names],
            "featureCount": getattr(self.estimator, "n_features_in_", None),
            "classes": _plain(getattr(self.estimator, "classes_", None)),
            "probabilities": hasattr(self.estimator, "predict_proba"),
        }

    def signature(self) -> dict[str, list[dict[str, Any]]]:
        """Columns where they have names, else one matrix; an output per target of probabilities."""
        inputs = column_inputs(self.names, self._features)
        if not inputs:
            width = getattr(self.estimator, "n_features_in_", -1)
            inputs = [{"name": "input", "datatype": "FP64", "shape": [-1, int(width)]}]
        return {"inputs": inputs, "outputs": self._outputs()}

    def _outputs(self) -> list[dict[str, Any]]:
        classes = _plain(getattr(self.estimator, "classes_", None))
        several = isinstance(classes, list) and bool(classes) and isinstance(classes[0], list)
        if self.problem == "classificationWithProbabilities":
            targets = classes if several else [classes]
            return [
                {
                    "name": f"predict_{number}" if several else "predict",
                    "datatype": "FP64",
                    "shape": [-1, len(each) if each else -1],
                }
                for number, each in enumerate(targets)
            ]
        if self.problem == "classification" and classes:
            flat = [value for each in classes for value in each] if several else classes
            shape = [-1, len(classes)] if several else [-1]
            return [{"name": "predict", "datatype": datatype_of_values(flat), "shape": shape}]
        targets = _targets(self.estimator)
        shape = [-1] if targets < 2 else [-1, targets]
        return [{"name": "predict", "datatype": "FP64", "shape": shape}]


def _targets(estimator: Any) -> int:
    """How many values a fitted regressor gives an instance, as far as it says so."""
    last = getattr(estimator, "steps", [(None, estimator)])[-1][1]
    if hasattr(last, "n_outputs_"):
        return int(last.n_outputs_)
    return len(last.coef_) if np.ndim(getattr(last, "coef_", 0)) == 2 else 1


def _plain(classes: Any) -> Any:
    """The classes as JSON: one list, or one list a target."""
    if isinstance(classes, list):
        return [_plain(each) for each in classes]
    return None if classes is None else np.asarray(classes).tolist()


def _column(values: Sequence[Any], dtype: str, missing: Any, index: pd.Index) -> Any:
    """A column of the feature's type; whole numbers and booleans with gaps become floats."""
    gaps = None in values
    if dtype != "object":
        return np.array(values, dtype="float64" if gaps else dtype)
    if gaps:
        values = [missing if value is None else value for value in values]
    # As a series, because a frame would make text of an array of objects, and None of NaN.
    return pd.Series(list(values), index=index, dtype=object)


def _missing_value(estimator: Any) -> Any:
    """What a missing text was when the estimator was fitted: NaN, as pandas reads tables, or None.

    Encoders keep the categories that they met, imputers what they replace.
    """
    for part in _parts(estimator, _DEEPEST):
        if getattr(part, "missing_values", np.nan) is None:
            return None
        for values in getattr(part, "categories_", ()):
            if any(value is None for value in values):
                return None
    return np.nan


def _parts(value: Any, depth: int) -> Iterator[Any]:
    """The estimator and all that it holds."""
    if not depth:
        return
    if isinstance(value, list | tuple):
        for each in value:
            yield from _parts(each, depth - 1)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        yield value
        for each in list(vars(value).values()):
            yield from _parts(each, depth - 1)

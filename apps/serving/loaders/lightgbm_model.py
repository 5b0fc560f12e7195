"""LightGBM boosters in the text form of `save_model`, of a booster or a scikit-learn wrapper."""

import re
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from apps.serving.errors import BadRequest, LoadError
from apps.serving.loaders.base import Rows, first_line, outputs_of, problem_type
from apps.serving.spec import ServerSpec

_CATEGORIES = re.compile(r"-?\d+(:-?\d+)*")
_HEAD_CHARACTERS = 4_000_000


def load(spec: ServerSpec) -> "LightGBMModel":
    """Reads the booster; raises LoadError where the file is none."""
    content = Path(spec.artifact).read_bytes()
    if not content.startswith(b"tree\n") or b"\nend of trees" not in content:
        raise LoadError(
            "The file is no whole LightGBM model in text form; save it with "
            'booster.save_model("model.txt")'
        )
    try:
        text = content.decode()
        booster = lightgbm.Booster(model_str=text, params={"verbosity": -1})
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        here = lightgbm.__version__
        raise LoadError(f"LightGBM {here} cannot read the model: {first_line(error)}") from error
    return LightGBMModel(booster, text[:_HEAD_CHARACTERS], spec)


class LightGBMModel:
    """A booster. Probabilities have one column per class, as LGBMClassifier gives them."""

    advice = ""

    def __init__(self, booster: lightgbm.Booster, text: str, spec: ServerSpec) -> None:
        self.booster, self.threads = booster, spec.limits.threads
        self.native = booster
        self.objective = _line(text, "objective").partition(" ")[0]
        features = spec.metadata.get("features") or []
        trained_on = booster.feature_name()
        self.own = None if all(re.fullmatch(r"Column_\d+", n) for n in trained_on) else trained_on
        self.names = [f["name"] for f in features] or self.own or []
        self._check_names(trained_on)
        self.problem = self._problem(spec)
        self._codes = self._category_codes(_line(text, "feature_infos").split(" "), features)
        self._rows = Rows(self.names, object if self._codes else np.float64)

    def _problem(self, spec: ServerSpec) -> str:
        classes = self.objective in ("binary", "multiclass", "multiclassova")
        problem = problem_type(
            spec.metadata, "classificationWithProbabilities" if classes else "regression"
        )
        if problem != "regression" and not classes:
            raise LoadError(
                f"The objective {self.objective or 'of its own'} gives no classes; set the problem "
                "type to regression"
            )
        return problem

    def _check_names(self, trained_on: list[str]) -> None:
        """LightGBM writes spaces and marks in names as underscores."""
        ours = [_written(name) for name in self.names]
        if self.own and ours != [_written(name) for name in trained_on]:
            different = sorted(set(ours) ^ set(trained_on)) or ["their order"]
            raise LoadError(
                "The features in the metadata are not those that the model was trained on; "
                f"different: {', '.join(different[:10])}"
            )
        if self.names and len(self.names) != len(trained_on):
            raise LoadError(
                f"The metadata names {len(self.names)} features, the model takes {len(trained_on)}"
            )

    def _category_codes(
        self, infos: list[str], features: list[dict[str, Any]]
    ) -> dict[int, dict[Any, float]]:
        """By position of a categorical column, the code of each category, as pandas gave them."""
        kept = self.booster.pandas_categorical or []
        if not kept:
            return {}
        at = [n for n, info in enumerate(infos) if _CATEGORIES.fullmatch(info)]
        if len(at) != len(kept):  # a column that no tree could use says nothing of itself
            at = [n for n, f in enumerate(features) if f.get("categories")]
        if len(at) != len(kept):
            raise LoadError(
                f"The model was trained on {len(kept)} categorical columns, and which these are is "
                "not clear; give their categories in the metadata"
            )
        return {
            position: {value: float(code) for code, value in enumerate(values)} | {None: np.nan}
            for position, values in zip(at, kept, strict=True)
        }

    def predict(self, instances: list[Any]) -> list[Any]:
        """Class probabilities, class numbers or values, one per instance."""
        data = self._rows.array(instances)
        if self._codes:
            data = self._encoded(data)
        try:
            raw = self.booster.predict(data, num_threads=self.threads)
        except lightgbm.basic.LightGBMError as error:
            raise BadRequest(first_line(error)) from None
        return outputs_of(self._shaped(np.asarray(raw)))

    def _encoded(self, data: np.ndarray) -> np.ndarray:
        for position, codes in self._codes.items():
            try:
                data[:, position] = [codes[value] for value in data[:, position]]
            except (KeyError, TypeError) as error:
                name = self.names[position] if self.names else position
                raise BadRequest(
                    f"The model was trained on no category {error} of {name}"
                ) from None
        try:
            return data.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise BadRequest(f"The values do not form a table of numbers: {error}") from None

    def _shaped(self, raw: np.ndarray) -> np.ndarray:
        if self.problem == "regression":
            return raw
        if raw.ndim == 1:
            raw = np.vstack((1.0 - raw, raw)).transpose()
        return raw if self.problem != "classification" else raw.argmax(axis=1)

    def signature(self) -> dict[str, Any]:
        """Named columns, or one tensor of numbers; the answers as double precision."""
        width = self.booster.num_feature()
        inputs = [{"name": "input", "datatype": "FP64", "shape": [-1, width]}]
        if self.names:
            inputs = [
                {"name": name, "datatype": self._datatype(at), "shape": [-1]}
                for at, name in enumerate(self.names)
            ]
        classes = max(self.booster.num_model_per_iteration(), 1)
        if self.problem == "classification":
            return {"inputs": inputs, "outputs": [_output("INT64", [-1])]}
        if self.problem == "classificationWithProbabilities":
            return {"inputs": inputs, "outputs": [_output("FP64", [-1, max(classes, 2)])]}
        shape = [-1] if classes == 1 else [-1, classes]
        return {"inputs": inputs, "outputs": [_output("FP64", shape)]}

    def _datatype(self, at: int) -> str:
        values = [value for value in self._codes.get(at, {}) if value is not None]
        return "BYTES" if any(isinstance(value, str) for value in values) else "FP64"

    def describe(self) -> dict[str, Any]:
        return {
            "framework": "lightgbm",
            "frameworkVersion": lightgbm.__version__,
            "estimator": self.objective or "custom",
            "featureNames": self.own,
            "featureCount": self.booster.num_feature(),
            "classes": None,
            "probabilities": self.problem == "classificationWithProbabilities",
        }


def _output(datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": "predict", "datatype": datatype, "shape": shape}


def _line(text: str, key: str) -> str:
    """The value of a line `key=value` in the head of the file."""
    found = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""


def _written(name: str) -> str:
    """A name as the library writes it into the file."""
    return re.sub(r"\s", "_", name)

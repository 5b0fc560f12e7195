"""XGBoost boosters in JSON or UBJ, saved by `save_model` of a booster or a scikit-learn wrapper."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from apps.serving.errors import BadRequest, LoadError
from apps.serving.loaders.base import (
    Rows,
    column_inputs,
    first_line,
    outputs_of,
    problem_type,
)
from apps.serving.spec import ServerSpec


def load(spec: ServerSpec) -> "XGBoostModel":
    """Reads the booster; raises LoadError where the file is none or of a newer format."""
    booster = xgboost.Booster({"nthread": spec.limits.threads})
    content = bytearray(Path(spec.artifact).read_bytes())
    if not content:  # which XGBoost answers by ending the process
        raise LoadError("The file is empty. Save the model with save_model as .json or .ubj")
    try:
        # From memory, because XGBoost tells JSON from UBJ in a file by its name, and it has none.
        booster.load_model(content)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise LoadError(
            f"XGBoost {xgboost.__version__} cannot read the model: {first_line(error)}. Save it "
            "with save_model as .json or .ubj"
        ) from error
    booster.set_param({"nthread": spec.limits.threads, "device": "cpu"})
    return XGBoostModel(booster, spec)


class XGBoostModel:
    """A booster. Probabilities have one column per class, as XGBClassifier gives them."""

    advice = ""

    def __init__(self, booster: xgboost.Booster, spec: ServerSpec) -> None:
        self.booster = self.native = booster
        learner = json.loads(booster.save_config())["learner"]
        self.objective = learner["objective"]["name"]
        features = self._features = spec.metadata.get("features") or []
        self._classes = int(learner["learner_model_param"]["num_class"])
        self._targets = int(learner["learner_model_param"]["num_target"])
        self.names = [feature["name"] for feature in features] or booster.feature_names or []
        self._check_names(booster.feature_names)
        self.problem = self._problem(spec)
        self._has_trees = learner["gradient_booster"]["name"] != "gblinear"
        self._codes = _codes(booster, features) if self._has_trees else {}
        self._rows = Rows(self.names, object if self._codes else np.float64)
        self._rounds = _rounds(booster)

    def _problem(self, spec: ServerSpec) -> str:
        softmax = self.objective == "multi:softmax"
        classes = self.objective.startswith("multi:") or self.objective == "binary:logistic"
        likely = "classification" if softmax else "classificationWithProbabilities"
        problem = problem_type(spec.metadata, likely if classes else "regression")
        if problem != "regression" and not classes:
            raise LoadError(
                f"The objective {self.objective} gives no classes; set the problem type to "
                "regression"
            )
        if problem == "classificationWithProbabilities" and softmax:
            raise LoadError(
                "The objective multi:softmax gives no probabilities; set the problem type to "
                "classification, or train with multi:softprob"
            )
        return problem

    def _check_names(self, trained_on: Sequence[str] | None) -> None:
        if trained_on and self.names and list(trained_on) != list(self.names):
            different = sorted(set(trained_on) ^ set(self.names)) or ["their order"]
            raise LoadError(
                "The features in the metadata are not those that the model was trained on; "
                f"different: {', '.join(different[:10])}"
            )

    def predict(self, instances: list[Any]) -> list[Any]:
        """Class probabilities, class numbers or values, one per instance."""
        data = self._rows.array(instances)
        if self._codes:
            data = self._encoded(data)
        if self._has_trees:
            raw = self.booster.inplace_predict(
                data, iteration_range=self._rounds, validate_features=False
            )
        else:
            names = self.booster.feature_names
            raw = self.booster.predict(xgboost.DMatrix(data, feature_names=names))
        return outputs_of(self._shaped(np.asarray(raw)))

    def _encoded(self, data: np.ndarray) -> np.ndarray:
        """The codes of the categories among numbers: what XGBoost makes of a frame itself."""
        for position, codes in self._codes.items():
            try:
                data[:, position] = [codes[value] for value in data[:, position]]
            except KeyError as error:
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
        if raw.ndim == 1 and self.objective == "binary:logistic":
            raw = np.vstack((1.0 - raw, raw)).transpose()
        if self.problem == "classificationWithProbabilities":
            return raw
        return raw.astype(int) if raw.ndim == 1 else raw.argmax(axis=1)

    def describe(self) -> dict[str, Any]:
        return {
            "framework": "xgboost",
            "frameworkVersion": xgboost.__version__,
            "estimator": self.objective,
            "featureNames": self.booster.feature_names,
            "featureCount": self.booster.num_features(),
            "classes": None,
            "probabilities": self.problem == "classificationWithProbabilities",
        }

    def signature(self) -> dict[str, list[dict[str, Any]]]:
        """Columns where they have names, else one matrix. XGBoost computes in single precision."""
        width = self.booster.num_features()
        matrix = {"name": "input", "datatype": "FP32", "shape": [-1, width]}
        inputs = column_inputs(self.names, self._features) or [matrix]
        kind, shape = "FP32", [-1]
        if self.problem == "classificationWithProbabilities":
            shape = [-1, max(self._classes, 2)]
        elif self.problem == "classification":
            kind = "INT64"
        elif self._targets > 1:
            shape = [-1, self._targets]
        return {
            "inputs": inputs,
            "outputs": [{"name": "predict", "datatype": kind, "shape": shape}],
        }


def _rounds(booster: xgboost.Booster) -> tuple[int, int]:
    """The rounds that answer: to the best one where a scikit-learn wrapper stopped early.

    A booster trained without the wrapper answers with all of them, as its own predict does.
    """
    best = booster.attr("best_iteration")
    if best is None or booster.attr("scikit_learn") is None:
        return 0, 0
    return 0, int(best) + 1


def _codes(booster: xgboost.Booster, features: list[dict[str, Any]]) -> dict[int, dict[Any, float]]:
    """By position of a categorical feature, the code of each category.

    Models of XGBoost 3.1 and newer keep their categories; for older ones the metadata's order
    counts, which has to be that of the training table.
    """
    kept = booster.get_categories(export_to_arrow=True).to_arrow()
    known = {at: values.to_pylist() for at, (_, values) in enumerate(kept or ()) if values}
    kinds = booster.feature_types or []
    for at, feature in enumerate(features):
        if at not in known and feature.get("categories") and kinds[at : at + 1] == ["c"]:
            known[at] = feature["categories"]
    return {
        at: {value: float(code) for code, value in enumerate(values)} | {None: np.nan}
        for at, values in known.items()
    }

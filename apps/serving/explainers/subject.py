"""The model under explanation, in the raw features that people know."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.base import Feature, plain_rows
from apps.serving.explainers.features import cast, check_table, features_of, frame_of
from apps.serving.loaders.base import LoadedModel, Rows
from apps.serving.protocol import instances_of
from apps.serving.schema import Schema, compile_schema

_SUBJECTS = {
    "sklearn": "apps.serving.explainers.sklearn_subject:SklearnSubject",
    "xgboost": "apps.serving.explainers.booster_subjects:XGBoostSubject",
    "lightgbm": "apps.serving.explainers.booster_subjects:LightGBMSubject",
    "catboost": "apps.serving.explainers.booster_subjects:CatBoostSubject",
    "pytorch": "apps.serving.explainers.tensor_subject:TensorSubject",
    "tensorflow": "apps.serving.explainers.tensor_subject:TensorSubject",
    "onnx": "apps.serving.explainers.tensor_subject:TensorSubject",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a model says of rows: scores (n,) in its unit, answers as served, and what its final
    estimator took for them."""

    prepared: Any
    scores: np.ndarray
    answers: list[Any]


def subject_of(
    model: LoadedModel, metadata: dict[str, Any], sample: pd.DataFrame | None = None
) -> "Subject":
    """What explainers take of a loaded model.

    `sample` is a table of raw values, most often the background: it gives the kinds of features
    that the metadata does not name, and their ranges. Raises LoadError where the model cannot be
    explained.
    """
    place = _SUBJECTS.get(str(model.describe().get("framework")))
    if place is None:
        return Subject(model, metadata, sample)
    module, _, name = place.partition(":")
    made: Subject = getattr(import_module(module), name)(model, metadata, sample)
    return made


class Subject:
    """A model as a black box; subclasses know their library's own objects.

    `classes` are the labels that people know, in the order of the outputs; empty for a regression.
    `target` is the index of the explained class or output; None where it is the predicted class
    of each instance (three classes and more), which `by_target` resolves. `unit` is that of the
    scores: log-odds, logit, margin, probability, or the value's own.
    """

    def __init__(
        self, model: LoadedModel, metadata: dict[str, Any], sample: pd.DataFrame | None = None
    ) -> None:
        self.model: Any = model
        self.metadata = metadata
        self.native: Any = getattr(model, "native", None)
        described = model.describe()
        self.features: tuple[Feature, ...] = features_of(metadata, described, sample)
        self.names = [feature.name for feature in self.features]
        self.schema = _schema(metadata, self.features)
        self._rows = Rows(self.names, object)
        self.problem = str(getattr(model, "problem", "") or metadata.get("problemType") or "")
        self._answers = self._class_values(described)
        self.classes: tuple[Any, ...] = _labels(self._answers, metadata)
        self.target: int | None = _target(self.classes)
        self.unit = self._unit()

    @property
    def class_label(self) -> Any:
        """The label of the explained class; None for a regression."""
        return self.classes[self.target] if self.classes and self.target is not None else None

    def towards(self, target: int) -> "Subject":
        """The same model with this class or output explained."""
        if target == self.target:
            return self
        other = copy(self)
        other.target = target
        return other

    def index_of(self, label: Any) -> int:
        """The index of a class by its label; raises BadRequest with those that are known."""
        for index, known in enumerate(self.classes):
            if known == label or str(known) == str(label):
                return index
        known = ", ".join(str(each) for each in self.classes) or "none, it gives numbers"
        raise BadRequest(f"The model has no class {label}; it has {known}")

    def by_target(self, frame: pd.DataFrame) -> list[tuple["Subject", np.ndarray]]:
        """The rows' positions by the class that is explained: one pair where it is fixed."""
        if self.target is not None:
            return [(self, np.arange(len(frame)))]
        targets = self.outputs(frame).argmax(axis=1)
        return [(self.towards(int(t)), np.flatnonzero(targets == t)) for t in np.unique(targets)]

    def check(self, instances: list[Any]) -> None:
        """Raises BadRequest where instances are not what the model takes."""
        violations = self.schema.check(instances)
        if violations:
            raise BadRequest("; ".join(violation.message for violation in violations[:5]))

    def frame(self, instances: list[Any]) -> pd.DataFrame:
        """Raw values, columns in feature order. Raises BadRequest naming the feature."""
        self.check(instances)
        if not self.features:
            raise BadRequest("The model takes tensors, not features; explain it as an image")
        return frame_of(self._rows.columns(instances), self.features)

    def table(self, table: pd.DataFrame) -> pd.DataFrame:
        """The features of a table that may hold more. Raises BadRequest naming what is wrong."""
        return self.cast(check_table(table, self.features))

    def cast(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with the types that the features have: gaps make floats of whole numbers."""
        return cast(frame, self.features)

    def instances(self, frame: pd.DataFrame) -> list[Any]:
        """The rows as the model server gets them: lists of values, null where one is missing."""
        return plain_rows(self.cast(frame))

    def answers(self, frame: pd.DataFrame) -> list[Any]:
        """What the model server answers for each row."""
        return self.answers_of(self.prepared(frame))

    def answers_of(self, prepared: Any) -> list[Any]:
        return [listed(answer) for answer in self.model.predict(prepared)]

    def prepared(self, frame: pd.DataFrame) -> Any:
        """What the final estimator takes; to be passed on where several things are asked."""
        return self.instances(frame)

    def prepared_as_given(self, instances: list[Any]) -> Any:
        """The same of instances whose values have no names."""
        return instances

    def learn(self, frame: pd.DataFrame) -> None:
        """Looks for a shorter way to the same numbers, on rows of the background."""

    def told(self, frame: pd.DataFrame, served: list[Any] | None = None) -> Told:
        """All that the model says of rows; `served` is what its server answered for them."""
        prepared = self.prepared(frame)
        return Told(prepared, self.scores_of(prepared), self.answers_of(prepared))

    def outputs(self, frame: pd.DataFrame) -> np.ndarray:
        """(n, k) probabilities, or (n, m) values, as the model itself gives them."""
        return self.outputs_of(self.prepared(frame))

    def scores(self, frame: pd.DataFrame) -> np.ndarray:
        """(n,) the explained quantity in `unit`; of each row's own class where no target is fixed.

        Raises ModelFailure where the model gives NaN or infinity.
        """
        return self.scores_of(self.prepared(frame))

    def outputs_of(self, prepared: Any) -> np.ndarray:
        return self.read(self.model.predict(prepared))

    def scores_of(self, prepared: Any) -> np.ndarray:
        return self.pick(self.raw_of(prepared))

    def raw_of(self, prepared: Any) -> np.ndarray:
        """(n, k) scores in `unit`, of every class or output."""
        return self.outputs_of(prepared)

    def encoded(self, frame: pd.DataFrame) -> np.ndarray:
        """The numbers that the final estimator takes, (n, columns)."""
        return self.encoded_of(self.prepared(frame))

    def encoded_of(self, prepared: Any) -> np.ndarray:
        raise LoadError("The model is a black box: what it takes inside is not known")

    def groups(self) -> list[list[int]]:
        """The encoded columns of each raw feature; raises LoadError where some are mixed."""
        raise LoadError("The model is a black box: what it takes inside is not known")

    def read(self, answers: Sequence[Any]) -> np.ndarray:
        """Answers of the model server as (n, k): labels become 0 and 1 per class."""
        if self.problem == "classification":
            known = {str(value): index for index, value in enumerate(self._answers)}
            values = np.zeros((len(answers), len(known)))
            for row, label in enumerate(answers):
                if str(label) not in known:
                    raise ModelFailure(f"The model gave {label}, which is none of its classes")
                values[row, known[str(label)]] = 1.0
            return values
        try:
            values = np.asarray(answers, dtype=np.float64)
        except (TypeError, ValueError):
            raise ModelFailure("The model gave outputs that are no numbers") from None
        return columns_of(values)

    def pick(self, raw: np.ndarray) -> np.ndarray:
        """The target's column of (n, k), or each row's greatest one."""
        if not np.isfinite(raw).all():
            raise ModelFailure("The model gave NaN or infinity, which nothing can explain")
        picked: np.ndarray = raw.max(axis=1) if self.target is None else raw[:, self.target]
        return picked

    def _unit(self) -> str:
        if not self.classes:
            return str(self.metadata.get("unit") or "value")
        return "decision" if self.problem == "classification" else "probability"

    def _class_values(self, described: dict[str, Any]) -> list[Any]:
        """What the model answers per class; empty for a regression."""
        example = self._example()
        if not self.problem:
            self.problem = (
                "classificationWithProbabilities" if isinstance(example, list) else "regression"
            )
        if self.problem == "regression":
            return []
        values = self._known_classes(described)
        if values and isinstance(values[0], list):
            raise LoadError("A model of several targets cannot be explained; serve one of each")
        named = list((self.metadata.get("predictionClasses") or {}).values())
        counted = list(range(len(example))) if isinstance(example, list) else []
        if set(named) == set(range(len(named))):
            named = sorted(named)  # numbers are the places of the outputs
        values = values or named or counted
        if not values:
            more = ", or give an example input" if example is None else ""
            raise LoadError(
                "The classes of the model are not known; name them in the metadata as "
                f"predictionClasses{more}"
            )
        return values

    def _known_classes(self, described: dict[str, Any]) -> list[Any]:
        """What the library's object itself says of its classes."""
        return list(described.get("classes") or [])

    def _example(self) -> Any:
        """The output for the example input, or None."""
        example = self.metadata.get("exampleInput")
        return listed(self.model.predict(instances_of(example)[:1])[0]) if example else None


def listed(answer: Any) -> Any:
    """An answer as JSON has it; tensors become lists."""
    return answer.tolist() if hasattr(answer, "tolist") else answer


def columns_of(values: np.ndarray) -> np.ndarray:
    """(n,) as (n, 1); raises ModelFailure for what is no table."""
    if values.ndim == 1:
        return values.reshape(-1, 1)
    if values.ndim != 2:
        raise ModelFailure(f"The model gave outputs of {values.ndim} dimensions; 1 or 2 are needed")
    return values


def two_sided(margin: np.ndarray) -> np.ndarray:
    """The margin of two classes, (n,) for the second, as one column per class."""
    return np.column_stack((-margin, margin)) if margin.ndim == 1 else margin


def _target(classes: tuple[Any, ...]) -> int | None:
    """The only output, the second of two classes, or whichever is predicted."""
    return {0: 0, 1: 0, 2: 1}.get(len(classes))


def _labels(values: list[Any], metadata: dict[str, Any]) -> tuple[Any, ...]:
    """The metadata's names of what the model answers per class."""
    names = {str(value): name for name, value in (metadata.get("predictionClasses") or {}).items()}
    return tuple(names.get(str(value), value) for value in values)


def _schema(metadata: dict[str, Any], features: tuple[Feature, ...]) -> Schema:
    """What instances must be: as the metadata says, and numbers where the sample has numbers."""
    kinds = {"number": "number", "integer": "number", "boolean": "boolean"}
    entries = metadata.get("features") or [{"name": f.name} for f in features]
    told = [
        entry
        if entry.get("type") or entry.get("categories")
        else entry | {"type": kinds.get(feature.kind, "any"), "nullable": feature.nullable}
        for entry, feature in zip(entries, features, strict=True)
    ]
    return compile_schema({"features": told})

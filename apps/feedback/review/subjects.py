"""What is known of a prediction and of its model when a queue decides. Pure functions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson

from apps.predictions.models import PredictionRecord
from apps.predictions.presentation import facts

FIELDS = (
    *("id", "input", "model_input", "output", "model_output", "outcome", "score"),
    *("revision_id", "deployment_id", "writer", "seal"),
)


@dataclass(frozen=True)
class Model:
    """What a model's metadata says."""

    metadata: dict[str, Any]

    @cached_property
    def features(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.metadata.get("features") or []}

    @property
    def gives_numbers(self) -> bool:
        return self.metadata.get("problemType") == "regression"

    @property
    def gives_probabilities(self) -> bool:
        return self.metadata.get("problemType") == "classificationWithProbabilities"

    @cached_property
    def classes(self) -> list[str]:
        """The labels, in the order of their numbers; empty where the metadata names none."""
        named = self.metadata.get("predictionClasses") or {}
        return sorted(map(str, named), key=lambda label: _rank(named.get(label)))

    def names(self, count: int) -> list[str]:
        """The names of as many classes, as `PredictionRecord.outcome` has them."""
        numbers = (self.metadata.get("predictionClasses") or {}).items()
        labels = {str(value): str(label) for label, value in numbers}
        return [labels.get(str(each), str(each)) for each in range(count)]

    def words(self, name: str, value: Any) -> str:
        """A feature with its value, as people know both: `Income 12,000 EUR`."""
        [fact] = facts({name: value}, self.metadata)
        return " ".join(part for part in (fact.label, fact.value, fact.unit) if part)

    def label(self, name: str) -> str:
        return str(self.features.get(name, {}).get("label") or name)


@dataclass(frozen=True, slots=True)
class Subject:
    """One prediction: the features by name, the outcome, the probability of that class, and those
    of all classes in the order of their numbers."""

    id: UUID
    values: dict[str, Any]
    outcome: str | None
    score: float | None
    probabilities: list[float] | None

    @property
    def number(self) -> float | None:
        """The predicted number; None for a class."""
        return as_number(self.outcome)


def subject_of(record: PredictionRecord, model: Model) -> Subject:
    """Where a transformer stands before the model, both its input and output are known by name."""
    values = _by_name(record.input, model) | _by_name(record.model_input, model)
    return Subject(
        id=record.id,
        values=values,
        outcome=record.outcome,
        score=as_number(record.score),
        probabilities=_probabilities(record) if model.gives_probabilities else None,
    )


def as_number(value: Any) -> float | None:
    """The number in a value or its text; None where there is none."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def _by_name(text: str | None, model: Model) -> dict[str, Any]:
    value = None if text is None else orjson.loads(text)
    if isinstance(value, list):
        value = dict(zip(model.features, value, strict=False))
    return value if isinstance(value, dict) else {}


def _probabilities(record: PredictionRecord) -> list[float] | None:
    for text in (record.output, record.model_output):
        value = None if text is None else orjson.loads(text)
        if isinstance(value, list) and len(value) > 1:
            given = [as_number(each) for each in value]
            if all(each is not None and 0 <= each <= 1 for each in given):
                return [each for each in given if each is not None]
    return None


def _rank(value: Any) -> tuple[float, str]:
    number = as_number(value)
    return (float("inf") if number is None else number, str(value))

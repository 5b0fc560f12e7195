"""Checks instances against a model's features, fast when all is well and precise when not."""

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

_MOST_LISTED = 10
_MOST_VIOLATIONS = 100
# A JSON parser gives integers beyond this as rounded fractions.
_INTEGER_LIMIT = 2**63
_SEVERAL = (list, dict, np.ndarray)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one value: the instance's position, the feature, and a sentence."""

    instance: int
    feature: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of a model, as metadata.json describes it."""

    name: str
    type: str = "number"
    categories: frozenset[Any] | None = None
    nullable: bool = False
    order: tuple[Any, ...] = ()

    @classmethod
    def from_metadata(cls, entry: dict[str, Any]) -> "Feature":
        order = tuple(entry.get("categories") or ())
        kind = entry.get("type") or ("category" if order else "any")
        categories = frozenset(order) if order else None
        return cls(entry["name"], kind, categories, bool(entry.get("nullable")), order)

    def fault(self, value: Any) -> str | None:
        """Why `value` cannot be this feature's, or None."""
        if value is None:
            return None if self.nullable else "is null, and the model takes no missing value here"
        return _FAULTS.get(self.type, _no_fault)(self, value)


def _number_fault(feature: Feature, value: Any) -> str | None:
    if type(value) is float:
        return None if math.isfinite(value) else "is not a finite number"
    if type(value) is int:
        return None
    return f"must be a number, not {_kind(value)}"


def _integer_fault(feature: Feature, value: Any) -> str | None:
    if type(value) is int or (type(value) is float and value.is_integer()):
        if -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            return None
        return "must be a whole number of at most 64 bits"
    return f"must be a whole number, not {_kind(value)}"


def _category_fault(feature: Feature, value: Any) -> str | None:
    if isinstance(value, _SEVERAL):
        return f"must be one category, not {_kind(value)}"
    if feature.categories is None or value in feature.categories:
        return None
    return f"has the unknown category {_short(value)}; known are {_listed(feature.order)}"


def _boolean_fault(feature: Feature, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_kind(value)}"


def _text_fault(feature: Feature, value: Any) -> str | None:
    return None if isinstance(value, str) else f"must be text, not {_kind(value)}"


def _no_fault(feature: Feature, value: Any) -> str | None:
    if type(value) is float and not math.isfinite(value):
        return "is not a finite number"
    return f"must be one value, not {_kind(value)}" if isinstance(value, _SEVERAL) else None


_FAULTS: dict[str, Callable[[Feature, Any], str | None]] = {
    "number": _number_fault,
    "integer": _integer_fault,
    "category": _category_fault,
    "boolean": _boolean_fault,
    "text": _text_fault,
}


class Schema:
    """The features of a model in their order. Without features, only the shape is checked."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in features)
        self._known = frozenset(self.names)
        self._checks = tuple((f, _FAULTS.get(f.type, _no_fault)) for f in features)
        self._values = itemgetter(*self.names) if len(self.names) > 1 else None

    def check(self, instances: Any, *, max_rows: int = 10_000) -> list[Violation]:
        """All that is wrong with `instances` (at most 100 lines); empty when they fit.

        An instance is an object by feature name, or a list or array of values in feature order.
        """
        if not isinstance(instances, list):
            return [Violation(0, None, "The instances must be a list")]
        if not instances:
            return [Violation(0, None, "There are no instances; send at least one")]
        if len(instances) > max_rows:
            text = f"There are {len(instances):,} instances; one request takes {max_rows:,}"
            return [Violation(max_rows, None, f"{text}, so send the rest in another")]
        found: list[Violation] = []
        for position, instance in enumerate(instances):
            if not self._fits(instance):
                found.extend(self._explain(position, instance))
                if len(found) >= _MOST_VIOLATIONS:
                    return found[:_MOST_VIOLATIONS]
        return found

    def _fits(self, instance: Any) -> bool:
        """True for a row without fault; the path that almost every row takes."""
        if type(instance) is dict:
            if not self.names:
                return True
            if len(instance) != len(self.names):
                return False
            try:
                values = self._values(instance) if self._values else (instance[self.names[0]],)
            except KeyError:
                return False
        elif type(instance) is list:
            if not self.names:
                return True
            if len(instance) != len(self.names):
                return False
            values = instance
        elif isinstance(instance, np.ndarray):
            return not self.names or self._fits(instance.tolist())
        else:
            return False
        for (feature, fault), value in zip(self._checks, values, strict=True):
            if value is None:
                if not feature.nullable:
                    return False
            elif fault(feature, value) is not None:
                return False
        return True

    def _explain(self, position: int, instance: Any) -> list[Violation]:
        if isinstance(instance, dict):
            return self._explain_object(position, instance)
        if isinstance(instance, np.ndarray):
            instance = instance.tolist()
        if isinstance(instance, list):
            return self._explain_list(position, instance)
        text = f"must be an object of features or a list of values, not {_kind(instance)}"
        return [Violation(position, None, f"Instance {position} {text}")]

    def _explain_object(self, position: int, instance: dict[str, Any]) -> list[Violation]:
        found = []
        for name in instance:
            if name not in self._known:
                close = difflib.get_close_matches(name, self.names, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                found.append(
                    Violation(position, name, f"{_short(name)} is no feature of this model{hint}")
                )
        for feature in self.features:
            if feature.name not in instance:
                found.append(Violation(position, feature.name, f"{feature.name} is missing"))
            elif fault := feature.fault(instance[feature.name]):
                found.append(Violation(position, feature.name, f"{feature.name} {fault}"))
        return found

    def _explain_list(self, position: int, instance: list[Any]) -> list[Violation]:
        if len(instance) != len(self.names):
            text = f"Instance {position} has {len(instance)} values; the model takes "
            return [Violation(position, None, f"{text}{len(self.names)}")]
        return [
            Violation(position, feature.name, f"{feature.name} {fault}")
            for feature, value in zip(self.features, instance, strict=True)
            if (fault := feature.fault(value))
        ]


def compile_schema(metadata: dict[str, Any]) -> Schema:
    """The schema of the `features` in a metadata.json."""
    entries = metadata.get("features") or []
    return Schema([Feature.from_metadata(entry) for entry in entries])


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"the text {_short(value)}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, np.ndarray):
        return "a tensor"
    if isinstance(value, dict):
        return "an object"
    return _short(value)


def _short(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(str(value) for value in values[:_MOST_LISTED])
    more = len(values) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown

"""What answer a counterfactual has to lead to, as a margin that is positive where it does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.serving.errors import BadRequest

Array = np.ndarray
# A margin that rounding, or a batch of another size, does not turn.
_CLEAR = 1e-6


@dataclass(frozen=True, slots=True)
class Goal:
    """`wanted` says it in JSON; `margins` takes outputs (n, k), positive where they are wanted."""

    wanted: dict[str, Any]
    margins: Callable[[Array], Array]


def goal_of(subject: Any, output: Array, options: Any) -> Goal:
    """The wanted class, any other class than the predicted one, or a range of values.

    Raises BadRequest where a regression is not told what is wanted.
    """
    if not subject.classes:
        return _range(subject, options.desired)
    predicted = int(output.argmax())
    confidence = options.confidence
    if options.desired is not None:
        return _class(subject, subject.index_of(options.desired), confidence)
    if len(subject.classes) == 2:
        return _class(subject, 1 - predicted, confidence)

    def margins(outputs: Array) -> Array:
        others = np.delete(outputs, predicted, axis=1).max(axis=1)
        return np.asarray(np.minimum(others - outputs[:, predicted], others - confidence) - _CLEAR)

    return Goal({"not": subject.classes[predicted]}, margins)


def _class(subject: Any, index: int, confidence: float) -> Goal:
    def margins(outputs: Array) -> Array:
        own = outputs[:, index]
        others = np.delete(outputs, index, axis=1).max(axis=1)
        return np.asarray(np.minimum(own - others, own - confidence) - _CLEAR)

    return Goal({"class": subject.classes[index]}, margins)


def _range(subject: Any, desired: Any) -> Goal:
    if not isinstance(desired, dict) or not {"minimum", "maximum"} & set(desired):
        raise BadRequest(
            "The model gives numbers, so counterfactuals must know which are wanted: set desired "
            'to {"minimum": …} or {"maximum": …}'
        )
    low, high = desired.get("minimum"), desired.get("maximum")

    def margins(outputs: Array) -> Array:
        value = outputs[:, subject.target]
        above = value - low if low is not None else np.inf
        below = high - value if high is not None else np.inf
        scale = max(1.0, *(abs(bound) for bound in (low, high) if bound is not None))
        return np.asarray(np.minimum(above, below) / scale - _CLEAR)

    return Goal({key: desired[key] for key in ("minimum", "maximum") if key in desired}, margins)

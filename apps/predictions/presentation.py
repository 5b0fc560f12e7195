"""Puts recorded values into the words that people know: labels, units, the decision sentence."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.deployments.wire import TENSOR

if TYPE_CHECKING:  # What is drawn outside of Django needs the words alone.
    from apps.predictions.models import PredictionRecord

_SHOWN = 4_000


@dataclass(frozen=True, slots=True)
class Fact:
    """One input of a case: its label, its value in words, and whether training ever saw it."""

    name: str
    label: str
    value: str
    unit: str
    is_outside: bool
    range: str


def facts(values: Any, metadata: dict[str, Any]) -> list[Fact]:
    """The inputs of a case in the model's order; what the metadata does not know follows."""
    features = metadata.get("features") or []
    if _is_tensor(values):
        values = {"input": values}
    if isinstance(values, list):
        names = [f["name"] for f in features] or [str(i) for i in range(len(values))]
        values = dict(zip(names, values, strict=False))
    if not isinstance(values, dict):
        return []
    known = {feature["name"]: feature for feature in features}
    ordered = [name for name in known if name in values]
    ordered += [name for name in values if name not in known]
    return [_fact(name, values[name], known.get(name, {})) for name in ordered]


def _fact(name: str, value: Any, feature: dict[str, Any]) -> Fact:
    low, high = feature.get("observedMin"), feature.get("observedMax")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    outside = is_number and (
        (low is not None and value < low) or (high is not None and value > high)
    )
    return Fact(
        name=name,
        label=feature.get("label") or name,
        value=_words(value, feature),
        unit=feature.get("unit") or "",
        is_outside=outside,
        range=f"{shown_number(low)} to {shown_number(high)}"
        if low is not None and high is not None
        else "",
    )


def _is_tensor(value: Any) -> bool:
    """True for an array as a record keeps it: nested lists, or bytes in base64."""
    if isinstance(value, dict):
        return value.keys() == {TENSOR}
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _words(value: Any, feature: dict[str, Any]) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict) and value.keys() == {TENSOR}:
        kept = value[TENSOR]
        return f"{kept['datatype']} tensor of {' × '.join(map(str, kept['shape']))}"
    if isinstance(value, list):
        return f"tensor of {' × '.join(map(str, _shape(value)))}"
    labels = feature.get("categoryLabels") or {}
    if str(value) in labels:
        return str(labels[str(value)])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown_number(value)


def shown_number(value: Any) -> str:
    """Six digits, thousands apart; but never fewer than all before the point and two after it."""
    if not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    if abs(value) < 1 or not math.isfinite(value):
        return f"{value:.6g}"
    decimals = max(2, 6 - len(str(int(abs(value)))))
    return f"{value:,.{decimals}f}".rstrip("0").rstrip(".")


def shortened(content: dict[str, Any]) -> dict[str, Any]:
    """A record's content for the eye: long texts, as those of tensors, are cut and say so."""
    return {
        name: f"{value[:_SHOWN]}… ({len(value):,} characters; the API gives them all)"
        if isinstance(value, str) and len(value) > _SHOWN
        else value
        for name, value in content.items()
    }


def probabilities(record: "PredictionRecord", metadata: dict[str, Any]) -> list[tuple[str, float]]:
    """Label and probability of every class, most probable first; empty for other outputs."""
    output = record.output_value
    if isinstance(output, dict) and record.model_output is not None:
        output = record.model_output_value
    if metadata.get("problemType") != "classificationWithProbabilities" or not isinstance(
        output, list
    ):
        return []
    names = {str(v): str(k) for k, v in (metadata.get("predictionClasses") or {}).items()}
    pairs = [(names.get(str(i), str(i)), float(p)) for i, p in enumerate(output)]
    return sorted(pairs, key=lambda pair: -pair[1])


def sentence(record: "PredictionRecord", metadata: dict[str, Any]) -> tuple[str, str]:
    """The decision in words: what the model says, and how sure it is."""
    if record.output is None:
        return "This prediction was erased", ""
    if record.score is not None:
        return f"The model says {record.outcome}", f"with a probability of {_percent(record.score)}"
    if metadata.get("problemType") == "regression":
        value = json.loads(record.output)
        shown = shown_number(value) if isinstance(value, int | float) else str(record.outcome)
        return f"The model predicts {shown}", ""
    return f"The model says {record.outcome}", ""


def _percent(score: str) -> str:
    return f"{100 * float(score):.1f}\u00a0%"

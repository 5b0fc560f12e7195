"""A version's features for people: what metadata says and what the reference data shows."""

from dataclasses import dataclass
from typing import Any

from apps.registry.models import ModelVersion

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One line of the feature table; `counts` and `labels` are empty without reference data."""

    name: str
    label: str
    type: str
    unit: str
    description: str
    is_protected: bool
    values: str
    missing: float | None
    counts: list[int]
    labels: list[str]


def feature_rows(version: ModelVersion) -> list[FeatureRow]:
    """The features in the model's order."""
    reference = getattr(version, "reference", None)
    shown = {f["name"]: f for f in reference.profile["features"]} if reference else {}
    rows = reference.rows if reference else 0
    return [
        _row(feature, shown.get(feature["name"]), rows)
        for feature in version.metadata.get("features") or []
    ]


def example_in_order(metadata: dict[str, Any]) -> Any:
    """The example input with the values of each instance in the features' order.

    The database keeps the keys of an object in an order of its own.
    """
    example = metadata.get("exampleInput")
    if not isinstance(example, dict) or not isinstance(example.get("instances"), list):
        return example
    names = [feature["name"] for feature in metadata.get("features") or []]
    instances = [_in_order(each, names) for each in example["instances"]]
    return example | {"instances": instances}


def _in_order(instance: Any, names: list[str]) -> Any:
    if not isinstance(instance, dict):
        return instance
    return {name: instance[name] for name in names if name in instance} | instance


def _row(feature: dict[str, Any], shown: dict[str, Any] | None, rows: int) -> FeatureRow:
    words = feature.get("categoryLabels") or {}
    return FeatureRow(
        name=feature["name"],
        label=str(feature.get("label") or ""),
        type=feature.get("type") or ("category" if feature.get("categories") else "any"),
        unit=str(feature.get("unit") or ""),
        description=str(feature.get("description") or ""),
        is_protected=bool(feature.get("protected")),
        values=_values(feature, words),
        missing=shown["missing"] / rows if shown and rows else None,
        counts=shown["counts"] if shown else [],
        labels=_labels(shown, words) if shown else [],
    )


def _values(feature: dict[str, Any], words: dict[str, str]) -> str:
    if categories := feature.get("categories"):
        listed = [words.get(str(value), str(value)) for value in categories[:4]]
        rest = len(categories) - len(listed)
        return ", ".join(listed) + (f" and {rest} more" if rest else "")
    low, high = feature.get("observedMin"), feature.get("observedMax")
    return "" if low is None or high is None else f"{short(low)} to {short(high)}"


def _labels(shown: dict[str, Any], words: dict[str, str]) -> list[str]:
    if shown["kind"] == "category":
        return [words.get(value, value) for value in shown["categories"]]
    edges = shown["edges"]
    return [f"{short(a)} to {short(b)}" for a, b in zip(edges, edges[1:], strict=False)]


def short(value: Any) -> str:
    """A number in a few digits; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10**_DIGITS:
        return f"{value:,.0f}"
    return f"{value:,.{_DIGITS}g}"

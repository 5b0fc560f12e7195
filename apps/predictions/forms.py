"""Filters of the log, and the form made from a model's features."""

import csv
from typing import Any

from django import forms

from apps.deployments.models import Deployment
from apps.predictions.companion import companion
from apps.predictions.services import LONGEST_REASON

CONFIRMATION = "erase"


def _percent(label: str) -> forms.FloatField:
    widget = forms.NumberInput({"step": "any", "min": 0, "max": 100})
    return forms.FloatField(label=label, required=False, min_value=0, max_value=100, widget=widget)


class FilterForm(forms.Form):
    """What the predictions page can be narrowed to; lives in the query string."""

    outcome = forms.ChoiceField(required=False)
    revision = forms.ChoiceField(required=False)
    min_score = _percent("Sure from, %")
    max_score = _percent("to, %")
    custom_id = forms.CharField(label="Custom id", required=False, max_length=200)
    start = forms.DateTimeField(
        label="From", required=False, widget=forms.DateTimeInput({"type": "datetime-local"})
    )
    end = forms.DateTimeField(
        label="To", required=False, widget=forms.DateTimeInput({"type": "datetime-local"})
    )
    show = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Predictions"),
            ("refused", "Refused requests"),
            ("4xx", "Refused: the caller's fault (4xx)"),
            ("5xx", "Refused: not served (5xx)"),
        ],
    )

    def __init__(
        self, deployment: Deployment, metadata: dict[str, Any], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        labels = list(metadata.get("predictionClasses") or {})
        self._choose("outcome", [(label, label) for label in labels], "Any")
        if not labels:
            del self.fields["outcome"]
        if metadata.get("problemType") != "classificationWithProbabilities":
            del self.fields["min_score"], self.fields["max_score"]
        numbers = deployment.revisions.order_by("-number").values_list("number", flat=True)
        self._choose("revision", [(str(n), f"r{n}") for n in numbers], "Any")
        for choice in companion().choices:
            self.fields[choice.name] = forms.ChoiceField(label=choice.label, required=False)
            self._choose(choice.name, list(choice.values), "Any")
        self.order_fields([name for name in self.fields if name != "show"])

    def _choose(self, name: str, choices: list[tuple[str, str]], every: str) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", every), *choices]


class ErasureForm(forms.Form):
    """Why, and a word that nobody types by accident."""

    reason = forms.CharField(
        max_length=LONGEST_REASON,
        help_text="Kept in the audit log for ever, so name a file or a request, no person.",
    )
    confirm = forms.CharField(
        label="Type erase to confirm",
        widget=forms.TextInput({"autocomplete": "off", "data-confirm-name": CONFIRMATION}),
    )

    def clean_confirm(self) -> str:
        text: str = self.cleaned_data["confirm"].strip()
        if text != CONFIRMATION:
            raise forms.ValidationError(f"Type {CONFIRMATION}; nothing was erased.")
        return text


class RowForm(forms.Form):
    """A row of a CSV file, with or without its header, as the start of a case."""

    row = forms.CharField(
        label="A CSV row",
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text="One row with the features in their order, or a header line and a row.",
    )

    def __init__(self, metadata: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = [feature["name"] for feature in metadata.get("features") or []]
        self.values: dict[str, str] = {}

    def clean_row(self) -> str:
        text: str = self.cleaned_data["row"]
        self.values = self._read(text)
        return text

    def _read(self, text: str) -> dict[str, str]:
        first = text.strip().splitlines()[0]
        separator = max(",;\t", key=first.count)
        lines = list(csv.reader(text.strip().splitlines(), delimiter=separator))
        if len(lines) == 1:
            if len(lines[0]) != len(self.names):
                raise forms.ValidationError(
                    f"The row has {len(lines[0])} values; the model takes {len(self.names)}."
                )
            return dict(zip(self.names, lines[0], strict=True))
        header = [name.strip() for name in lines[0]]
        known = {n: v for n, v in zip(header, lines[1], strict=False) if n in self.names}
        if not known:
            raise forms.ValidationError("The header line names no feature of this model.")
        return known


class InstanceForm(forms.Form):
    """One input per feature, with its own kind, range and labels."""

    def __init__(self, metadata: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.features = metadata.get("features") or []
        for number, feature in enumerate(self.features):
            self.fields[f"f{number}"] = _field(feature)

    def instance(self) -> dict[str, Any]:
        """The values by feature name, as the gateway takes them."""
        return {
            feature["name"]: _value(feature, self.cleaned_data[f"f{number}"])
            for number, feature in enumerate(self.features)
        }

    @classmethod
    def initial_of(cls, metadata: dict[str, Any], values: Any) -> dict[str, Any]:
        """The form's initial values for an instance."""
        features = metadata.get("features") or []
        if isinstance(values, list):
            values = {f["name"]: v for f, v in zip(features, values, strict=False)}
        return {
            f"f{number}": values.get(feature["name"])
            for number, feature in enumerate(features)
            if isinstance(values, dict)
        }


def _field(feature: dict[str, Any]) -> forms.Field:
    kind = feature.get("type", "any")
    label = feature.get("label") or feature["name"]
    unit, nullable = feature.get("unit"), bool(feature.get("nullable"))
    common: dict[str, Any] = {
        "label": f"{label}, {unit}" if unit else label,
        "required": not nullable,
        "help_text": feature.get("description") or _seen(feature),
    }
    if kind == "category" and feature.get("categories"):
        labels = feature.get("categoryLabels") or {}
        choices = [(str(c), labels.get(str(c), str(c))) for c in feature["categories"]]
        if nullable:
            choices.insert(0, ("", "missing"))
        return forms.ChoiceField(choices=choices, **common)
    if kind == "boolean":
        return forms.ChoiceField(choices=[("true", "yes"), ("false", "no")], **common)
    if kind == "integer":
        return forms.IntegerField(widget=forms.NumberInput(_slides(feature, 1)), **common)
    if kind == "number":
        attributes = {"step": "any"} | _slides(feature, "any")
        return forms.FloatField(widget=forms.NumberInput(attributes), **common)
    return forms.CharField(**common)


def _slides(feature: dict[str, Any], step: int | str) -> dict[str, Any]:
    """Between what a slider goes, where training saw a range."""
    low, high = feature.get("observedMin"), feature.get("observedMax")
    if low is None or high is None or low >= high:
        return {}
    return {"data-low": low, "data-high": high, "data-step": step}


def _seen(feature: dict[str, Any]) -> str:
    low, high = feature.get("observedMin"), feature.get("observedMax")
    return "" if low is None or high is None else f"seen in training: {low:g} to {high:g}"


def _value(feature: dict[str, Any], value: Any) -> Any:
    if value in ("", None):
        return None
    if feature.get("type") == "boolean":
        return value == "true"
    if feature.get("type") == "category":
        by_text = {str(category): category for category in feature.get("categories") or []}
        return by_text.get(value, value)
    if feature.get("type", "any") == "any":
        try:
            return float(value)
        except ValueError:
            return value
    return value

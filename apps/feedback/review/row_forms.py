"""The rows of a queue's form: single conditions on features."""

from typing import Any

from django import forms

from apps.feedback.review.subjects import Model

OUTPUT = "*"
_LONGEST_TEXT = 2_000


class RowForm(forms.Form):
    """One condition on a feature: a range, some values, or being outside what training saw."""

    feature = forms.ChoiceField(required=False)
    least = forms.FloatField(required=False, widget=forms.NumberInput({"step": "any"}))
    most = forms.FloatField(required=False, widget=forms.NumberInput({"step": "any"}))
    values = forms.CharField(required=False, max_length=_LONGEST_TEXT, label="One of")
    outside = forms.BooleanField(required=False, label="Outside what training saw")

    def __init__(self, model: Model, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model
        output = [(OUTPUT, "the predicted number")] if model.gives_numbers else []
        named = [(name, model.label(name)) for name in model.features]
        field = self.fields["feature"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Nothing"), *output, *named]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        has_bounds = data.get("least") is not None or data.get("most") is not None
        ways = [has_bounds, bool(data.get("values")), bool(data.get("outside"))]
        if not data.get("feature"):
            if any(ways):
                self.add_error("feature", "Choose the feature that this is about.")
        elif sum(ways) != 1:
            self.add_error("feature", "Give a range, or values, or tick outside: one of them.")
        elif data["feature"] == OUTPUT and not has_bounds:
            self.add_error("least", "Give the least predicted number, the most, or both.")
        return data

    def rule(self) -> dict[str, Any] | None:
        data = self.cleaned_data
        name = data.get("feature")
        if not name:
            return None
        bounds = {"least": data["least"], "most": data["most"]}
        if name == OUTPUT:
            return {"kind": "output"} | bounds
        if data["outside"]:
            return {"kind": "range", "features": [name]}
        if data["values"]:
            return {"kind": "group", "feature": name, "values": self._codes(name)}
        return {"kind": "amount", "feature": name} | bounds

    def _codes(self, name: str) -> list[str]:
        """Values as the model has them, where their labels were given."""
        labels = self.model.features[name].get("categoryLabels") or {}
        codes = {str(label).casefold(): str(code) for code, label in labels.items()}
        return [codes.get(each.casefold(), each) for each in parts_in(self.cleaned_data["values"])]


def rows_of(rule: dict[str, Any], model: Model) -> list[dict[str, Any]]:
    """The rows that say a rule; none for what a field of its own says."""
    if rule["kind"] == "range":
        return [{"feature": name, "outside": True} for name in rule["features"]]
    if rule["kind"] == "output":
        return [{"feature": OUTPUT, "least": rule["least"], "most": rule["most"]}]
    if rule["kind"] == "amount":
        return [{key: rule[key] for key in ("feature", "least", "most")}]
    if rule["kind"] != "group":
        return []
    labels = model.features.get(rule["feature"], {}).get("categoryLabels") or {}
    named = [str(labels.get(each, each)) for each in rule["values"]]
    return [{"feature": rule["feature"], "values": _joined(named)}]


def _joined(values: list[str]) -> str:
    return "; ".join([*values, ""]) if any("," in each for each in values) else ", ".join(values)


def parts_in(text: str) -> list[str]:
    """Values separated by commas, or by semicolons where there is one."""
    mark = ";" if ";" in text else ","
    return [part for part in map(str.strip, text.split(mark)) if part]

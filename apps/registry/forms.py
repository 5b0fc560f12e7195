"""What people type about models, and how it becomes metadata.json and back."""

import json
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory

from apps.core.errors import DomainError
from apps.registry.features import example_in_order
from apps.registry.metadata import FEATURE_TYPES, parsed, parsed_value
from apps.registry.models import Draft

PROBLEMS = [
    ("", "Found out when it is deployed"),
    ("classificationWithProbabilities", "Classes, with probabilities"),
    ("classification", "Classes"),
    ("regression", "A number"),
]
_TYPES = [(name, name.capitalize()) for name in FEATURE_TYPES]
_CARD = forms.Textarea(attrs={"rows": 12, "spellcheck": "true"})
_CODE = {"rows": 6, "spellcheck": "false", "class": "mono"}


class UploadForm(forms.Form):
    """The files from which a version is made."""

    artifact = forms.FileField(
        label="Model file",
        allow_empty_file=True,
        max_length=255,
        help_text="scikit-learn, XGBoost, PyTorch, TensorFlow, ONNX, LightGBM, CatBoost or MLflow; "
        "a model of several files as one .zip.",
    )
    sample = forms.FileField(
        label="Sample of the training data",
        required=False,
        allow_empty_file=True,
        max_length=255,
        widget=forms.FileInput(attrs={"accept": ".csv,.parquet,.pq"}),
        help_text="CSV or Parquet with a header. It describes the features and becomes the "
        "reference data that drift is measured against.",
    )
    metadata = forms.FileField(
        label="metadata.json",
        required=False,
        allow_empty_file=True,
        max_length=255,
        widget=forms.FileInput(attrs={"accept": ".json"}),
        help_text="Where you have one. Everything in it can be edited in the next step.",
    )


class SampleForm(forms.Form):
    """Another sample for a draft."""

    sample = forms.FileField(label="Sample", allow_empty_file=True, max_length=255)


class ModelForm(forms.Form):
    """A model's name and description."""

    name = forms.CharField(max_length=80)
    description = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class CardsForm(forms.Form):
    """The two cards of a version, in Markdown."""

    model_card = forms.CharField(label="Model card", required=False, strip=False, widget=_CARD)
    data_card = forms.CharField(label="Data card", required=False, strip=False, widget=_CARD)


class OverrideForm(forms.Form):
    """Why a file may run that the scan calls dangerous."""

    reason = forms.CharField(
        label="Why this file may run",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Kept with the version and in the audit log, under your name.",
    )


class DetailsForm(CardsForm):
    """A draft but for its features."""

    name = forms.CharField(label="Name of the model", max_length=80)
    target = forms.ChoiceField(
        label="Target column",
        required=False,
        help_text="The column that the model predicts; it is no feature.",
    )
    notes = forms.CharField(label="What is new in this version", max_length=500, required=False)

    def __init__(self, *args: Any, draft: Draft, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        target = self.fields["target"]
        if draft.columns and isinstance(target, forms.ChoiceField):
            target.choices = [("", "None"), *((name, name) for name in draft.columns)]
        else:
            del self.fields["target"]
        if draft.model:
            del self.fields["name"]


class PredictionForm(forms.Form):
    """What the model predicts, and an example; the rest of metadata.json beside the features."""

    problem_type = forms.ChoiceField(label="It predicts", choices=PROBLEMS, required=False)
    classes = forms.CharField(
        label="Classes",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One a line: what people read = what the model answers. Repaid = 0",
    )
    example_input = forms.CharField(
        label="Example input",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs=_CODE),
        help_text="JSON. A deployment is tried with it before it gets traffic.",
    )
    example_output = forms.CharField(
        label="Example output", required=False, strip=False, widget=forms.Textarea(attrs=_CODE)
    )

    @classmethod
    def initial_of(cls, metadata: dict[str, Any]) -> dict[str, str]:
        classes = metadata.get("predictionClasses") or {}
        return {
            "problem_type": metadata.get("problemType") or "",
            "classes": "\n".join(f"{k} = {_text(v)}" for k, v in classes.items()),
            "example_input": _pretty(_example(metadata)),
            "example_output": _pretty(metadata.get("exampleOutput")),
        }

    def clean_classes(self) -> dict[str, Any]:
        classes: dict[str, Any] = {}
        for number, line in enumerate(self.cleaned_data["classes"].splitlines(), 1):
            if not line.strip():
                continue
            label, sign, value = (part.strip() for part in line.rpartition("="))
            if not sign or not label or not value:
                raise forms.ValidationError(f"Line {number} is not of the form: label = value")
            if label in classes:
                raise forms.ValidationError(f"Line {number} repeats {label}")
            classes[label] = _value(value)
        return classes

    def clean_example_input(self) -> Any:
        return _json(self.cleaned_data["example_input"])

    def clean_example_output(self) -> Any:
        return _json(self.cleaned_data["example_output"])

    def into(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata with what the form holds; what is left empty is left out."""
        data = self.cleaned_data
        given = {
            "problemType": data["problem_type"],
            "predictionClasses": data["classes"],
            "exampleInput": data["example_input"],
            "exampleOutput": data["example_output"],
        }
        kept = {key: value for key, value in metadata.items() if key not in given}
        return kept | {key: value for key, value in given.items() if value not in ("", None, {})}


class FeatureForm(forms.Form):
    """What people say about one feature."""

    type = forms.ChoiceField(choices=_TYPES)
    label = forms.CharField(max_length=120, required=False)
    unit = forms.CharField(max_length=40, required=False)
    description = forms.CharField(max_length=500, required=False)
    categories = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"})
    )
    nullable = forms.BooleanField(required=False)
    protected = forms.BooleanField(required=False)

    def __init__(self, *args: Any, name: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        for key, field in self.fields.items():
            field.widget.attrs["aria-label"] = f"{key.capitalize()} of {name}"
        for key in ("label", "unit", "description"):
            self.fields[key].widget.attrs["placeholder"] = key.capitalize()

    @classmethod
    def initial_of(cls, feature: dict[str, Any]) -> dict[str, Any]:
        words = feature.get("categoryLabels") or {}
        categories = [
            f"{value} = {words[str(value)]}" if str(value) in words else str(value)
            for value in feature.get("categories") or []
        ]
        simple = {key: feature.get(key) or "" for key in ("label", "unit", "description")}
        kind = feature.get("type") or ("category" if categories else "any")
        flags = {key: bool(feature.get(key)) for key in ("nullable", "protected")}
        return simple | flags | {"type": kind, "categories": "\n".join(categories)}

    def into(self, feature: dict[str, Any]) -> dict[str, Any]:
        """The feature with what the form holds; what the form does not show stays."""
        data = dict(self.cleaned_data)
        known = {str(value): value for value in feature.get("categories") or []}
        lines = [line.strip() for line in data.pop("categories").splitlines() if line.strip()]
        pairs = [line.partition(" = ") for line in lines]
        data["categories"] = [known.get(value, value) for value, _, _ in pairs]
        data["categoryLabels"] = {value: word for value, _, word in pairs if word}
        kept = {key: value for key, value in feature.items() if key not in data}
        return kept | {key: value for key, value in data.items() if value}


class _FeatureForms(BaseFormSet):
    """Gives every form the name of its feature; the names come as `form_kwargs["names"]`."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        names = self.form_kwargs["names"]
        return {"name": names[index] if index is not None and index < len(names) else ""}


FeatureForms = formset_factory(FeatureForm, formset=_FeatureForms, extra=0, max_num=1000)


class MetadataForm(forms.Form):
    """All of metadata.json as text."""

    metadata = forms.CharField(
        label="metadata.json",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 30, "spellcheck": "false", "class": "mono"}),
    )

    @classmethod
    def initial_of(cls, metadata: dict[str, Any]) -> dict[str, str]:
        return {"metadata": _pretty(metadata)}

    def clean_metadata(self) -> dict[str, Any]:
        try:
            return parsed(self.cleaned_data["metadata"].encode())
        except DomainError as error:
            raise forms.ValidationError(error.errors[0]["message"]) from None


def show_refusal(form: forms.BaseForm, error: DomainError) -> None:
    """Puts a service's refusal where it belongs on the form."""
    if not error.errors:
        form.add_error(None, error.message)
    for fault in error.errors:
        at_field = fault["field"] in form.fields
        text = fault["message"] if at_field else f"{fault['field']} {fault['message']}"
        form.add_error(fault["field"] if at_field else None, text)


def _example(metadata: dict[str, Any]) -> Any:
    """In the features' order where the metadata is sound enough to have one."""
    try:
        return example_in_order(metadata)
    except (KeyError, TypeError):
        return metadata.get("exampleInput")


def _json(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return parsed_value(text.encode())
    except DomainError as error:
        raise forms.ValidationError(error.errors[0]["message"]) from None


def _pretty(value: Any) -> str:
    return "" if value in (None, {}) else json.dumps(value, indent=2, ensure_ascii=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(text: str) -> Any:
    """A number or a boolean where the text is one."""
    try:
        value = parsed_value(text.encode())
    except DomainError:
        return text
    return value if isinstance(value, int | float) else text

"""The form that asks for a data set."""

from typing import Any

from django import forms

from apps.deployments.models import Deployment
from apps.feedback.datasets.models import DataSetExport
from apps.feedback.datasets.settings import SOURCES, DataSetSettings


def _day(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput({"type": "datetime-local"})
    return forms.DateTimeField(label=label, required=False, widget=widget)


class DataSetForm(forms.Form):
    """Filters of a data set; empty ones do not narrow it."""

    format = forms.ChoiceField(choices=DataSetExport.Format.choices, initial="parquet")
    start = _day("Predicted from, UTC")
    end = _day("until, UTC")
    sources = forms.MultipleChoiceField(
        label="Labels from",
        choices=list(SOURCES.items()),
        initial=list(SOURCES),
        widget=forms.CheckboxSelectMultiple,
        help_text="Where there are several, an actual comes first, then an adjudication.",
    )
    revisions = forms.MultipleChoiceField(
        required=False,
        widget=forms.SelectMultiple({"size": 3}),
        help_text="All of them where none is chosen.",
    )
    classes = forms.MultipleChoiceField(
        label="Labelled as",
        required=False,
        widget=forms.SelectMultiple({"size": 3}),
        help_text="All classes where none is chosen.",
    )

    def __init__(
        self, deployment: Deployment, labels: list[str], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        numbers = deployment.revisions.order_by("-number").values_list("number", flat=True)
        self._choose("revisions", [(str(number), f"r{number}") for number in numbers])
        self._choose("classes", [(label, label) for label in labels])
        if not labels:
            del self.fields["classes"]

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = choices

    @property
    def settings(self) -> DataSetSettings:
        """What was chosen; of a valid form."""
        data = self.cleaned_data
        return DataSetSettings(
            format=data["format"],
            start=data["start"],
            end=data["end"],
            sources=tuple(data["sources"]),
            revisions=tuple(int(each) for each in data["revisions"]),
            classes=tuple(data.get("classes") or ()),
        )

"""Forms of feedback: a judgement of a prediction, and what turned out to be true."""

import json
from typing import Any

from django import forms

from apps.feedback.models import Evaluation
from apps.feedback.services.evaluations import LONGEST_COMMENT

Verdict = Evaluation.Verdict
VERDICTS = (
    (Verdict.AGREE, "Agree"),
    (Verdict.DISAGREE, "Disagree"),
    (Verdict.UNSURE, "Unsure"),
)
_LONGEST_VALUE = 10_000


def value_field(metadata: dict[str, Any], output: Any, *, label: str, required: bool) -> Any:
    """The field for a value that the model could give: a choice, a number, or JSON or text."""
    given: dict[str, Any] = {"label": label, "required": required}
    classes = list(metadata.get("predictionClasses") or {})
    is_one = not isinstance(output, list) or len(output) == 1
    if metadata.get("problemType") == "regression" and is_one:
        return forms.FloatField(widget=forms.NumberInput({"step": "any"}), **given)
    if classes:
        choices = [("", "Choose" if required else "Nothing said"), *((c, c) for c in classes)]
        return forms.ChoiceField(choices=choices, **given)
    help_text = "As JSON, in the form of the output; other text is taken as text."
    return forms.CharField(max_length=_LONGEST_VALUE, help_text=help_text, **given)


class ValueForm(forms.Form):
    """What has a field for a value of the model in it."""

    value_name = ""

    def value(self) -> Any:
        """What was entered, as the services take it; None for nothing."""
        entered = self.cleaned_data.get(self.value_name)
        if entered in ("", None):
            return None
        if type(self.fields[self.value_name]) is not forms.CharField:
            return entered
        try:
            return json.loads(entered)
        except ValueError:
            return entered


class EvaluationForm(ValueForm):
    """`opened` and `shown` travel with the form: since when, and beside which explanations."""

    verdict = forms.ChoiceField(
        choices=VERDICTS, widget=forms.RadioSelect, label="What do you say of this prediction?"
    )
    comment = forms.CharField(
        required=False,
        max_length=LONGEST_COMMENT,
        widget=forms.Textarea({"rows": 3}),
    )
    opened = forms.CharField(required=False, widget=forms.HiddenInput)
    shown = forms.CharField(required=False, widget=forms.HiddenInput)
    value_name = "desired"
    field_order = ("verdict", "desired", "comment")

    def __init__(self, metadata: dict[str, Any], output: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["desired"] = value_field(metadata, output, label="It should be", required=False)
        self.order_fields(self.field_order)


class ActualForm(ValueForm):
    value_name = "actual"

    def __init__(self, metadata: dict[str, Any], output: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["actual"] = value_field(
            metadata, output, label="It turned out to be", required=True
        )

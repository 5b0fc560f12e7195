"""Forms of people: a judgement, a first answer, and asking for a review."""

import json
from typing import Any

from django import forms

from apps.feedback.models import Evaluation
from apps.feedback.review.requests import LONGEST_REASON
from apps.feedback.services.evaluations import LONGEST_COMMENT

_LONGEST_VALUE = 10_000
_KEY_LENGTH = 40


class JudgementForm(forms.Form):
    """What a reviewer says of a case. `spent` and `shown` travel with it: the milliseconds that it
    was looked at, and beside which explanations."""

    verdict = forms.ChoiceField(
        choices=[each for each in Evaluation.Verdict.choices if each[0] != "withdrawn"],
        error_messages={"required": "Say whether you agree, disagree or are unsure."},
    )
    comment = forms.CharField(required=False, max_length=LONGEST_COMMENT)
    reason = forms.CharField(required=False, max_length=_KEY_LENGTH)
    spent = forms.IntegerField(required=False)

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["desired"] = value_field(kind)
        self.kind = kind

    def value(self) -> Any:
        return plain_value(self.kind, self.cleaned_data.get("desired"))


class FirstAnswerForm(forms.Form):
    """What a reviewer holds right before the model's output shows."""

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["first"] = value_field(kind)
        self.kind = kind

    def value(self) -> Any:
        return plain_value(self.kind, self.cleaned_data.get("first"))


class RequestForm(forms.Form):
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea({"rows": 3}),
        label="Why should people look at it?",
    )


def value_field(kind: str) -> Any:
    if kind == "number":
        return forms.FloatField(required=False)
    return forms.CharField(required=False, max_length=_LONGEST_VALUE)


def plain_value(kind: str, entered: Any) -> Any:
    """What was entered, as the services take it; None for nothing."""
    if entered in ("", None):
        return None
    if kind != "text":
        return entered
    try:
        return json.loads(entered)
    except ValueError:
        return entered

"""The form of a queue: what it takes in, in words, and how people work on it."""

import re
from collections.abc import Iterable
from typing import Any

from django import forms

from apps.core.errors import DomainError
from apps.core.form_groups import Group
from apps.feedback.models import ReviewQueue
from apps.feedback.review.row_forms import RowForm, parts_in, rows_of
from apps.feedback.review.settings import (
    LONGEST_NAME,
    MOST_MINUTES,
    MOST_REASONS,
    QueueSettings,
    wire_name,
)
from apps.feedback.review.subjects import Model

_LONGEST_TEXT = 2_000
_KEY_LENGTH = 40


class PercentField(forms.FloatField):
    """A share that is entered as percent."""

    def __init__(self, **kwargs: Any) -> None:
        shared = {"min_value": 0, "max_value": 100, "required": False}
        super().__init__(**(shared | kwargs), widget=forms.NumberInput({"step": "any"}))

    def clean(self, value: Any) -> float | None:
        percent = super().clean(value)
        return None if percent is None else round(percent / 100, 8)


class QueueForm(forms.Form):
    """What a queue is and takes in, as far as its model allows; single conditions on features are
    the rows beside it."""

    name = forms.CharField(max_length=LONGEST_NAME)
    mode = forms.ChoiceField(
        choices=ReviewQueue.Mode.choices,
        widget=forms.RadioSelect,
        help_text="Assisted: what the model says is shown from the start. Blind: people answer "
        "first, then it shows; let in by more than the class, or they can guess it.",
    )
    classes = forms.CharField(
        required=False,
        max_length=_LONGEST_TEXT,
        label="Where the model says",
        help_text="Classes, separated by commas.",
    )
    below = PercentField(
        label="Where the probability of the class is below, %",
        help_text="70 takes every prediction that is less sure than 70\u00a0%.",
    )
    outside = forms.BooleanField(
        required=False, label="Where any input lies outside what training saw"
    )
    certainty = PercentField(
        label="Where the outcome is open at a confidence of, %",
        help_text="90 takes cases of which no single outcome is right with 90\u00a0% confidence, "
        "judged by the actuals so far.",
    )
    turns_at = forms.FloatField(
        required=False,
        label="The predicted number at which a decision turns",
        widget=forms.NumberInput({"step": "any"}),
        help_text="Only near it does an uncertain number matter.",
    )
    novelty = PercentField(
        label="Where the case is farther from the training data than, %",
        help_text="99 takes cases that lie farther off than 99\u00a0% of the training data does.",
    )
    audit = PercentField(
        required=True,
        label="Of all predictions, drawn at random, %",
        help_text="Keep some: only with a random share are the figures true of all predictions.",
    )
    double = PercentField(
        label="Judged by two people, %",
        help_text="Where two do not say the same, a third decides.",
    )
    known = PercentField(
        label="Known errors among the cases, %",
        help_text="Past predictions that turned out wrong, shown again to see whether a review "
        "finds them. They count in no estimate.",
    )
    reasons = forms.CharField(
        required=False,
        max_length=_LONGEST_TEXT,
        widget=forms.Textarea({"rows": 4}),
        label="Reasons to choose from",
        help_text=f"One a line, at most {MOST_REASONS}: each gets a number key.",
    )
    minutes = forms.IntegerField(
        min_value=1,
        max_value=MOST_MINUTES,
        label="A case is held for, minutes",
        help_text="Who types goes on holding it; after that it goes to somebody else.",
    )

    groups = (
        Group("What it is", ("name", "mode")),
        Group("What enters", ("classes", "below", "outside", "certainty", "turns_at", "novelty")),
        Group("Chance", ("audit", "double", "known")),
        Group("At work", ("reasons", "minutes")),
    )

    def __init__(self, model: Model, *args: Any, has_reference: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if model.classes:
            self.fields["classes"] = forms.MultipleChoiceField(
                choices=[(each, each) for each in model.classes],
                widget=forms.CheckboxSelectMultiple,
                required=False,
                label="Where the model says",
            )
        for name in _unfit(model, has_reference):
            del self.fields[name]

    def chosen_classes(self) -> list[str]:
        given = self.cleaned_data.get("classes") or []
        return given if isinstance(given, list) else parts_in(given)


def settings_from(form: QueueForm, rows: Iterable[RowForm]) -> tuple[QueueSettings, list[Any]]:
    """The settings that a valid form says, and for each of the rules the form and field from
    which it comes."""
    data = form.cleaned_data
    rules: list[tuple[dict[str, Any], Any]] = []
    if classes := form.chosen_classes():
        rules.append(({"kind": "class", "classes": classes}, (form, "classes")))
    if data.get("below") is not None:
        rules.append(({"kind": "confidence", "below": data["below"]}, (form, "below")))
    if data["outside"]:
        rules.append(({"kind": "range", "features": []}, (form, "outside")))
    rules += [(rule, (row, "feature")) for row in rows if (rule := row.rule())]
    certainty = data.get("certainty")
    settings = QueueSettings(
        name=data["name"],
        mode=data["mode"],
        rules=[rule for rule, _ in rules],
        audit_probability=data["audit"],
        alpha=None if certainty is None else round(1 - certainty, 8),
        turns_at=data.get("turns_at"),
        novelty=data.get("novelty"),
        double_share=data["double"] or 0.0,
        known_wrong_share=data.get("known") or 0.0,
        claim_minutes=data["minutes"],
        reasons=_reasons(data["reasons"]),
    )
    return settings, [origin for _, origin in rules]


def initial_of(settings: Any, model: Model) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The form's and its rows' start, from a queue or the settings of one. Several rules of a kind
    that take what either takes become one."""
    rules = settings.rules
    below = max((r["below"] for r in rules if r["kind"] == "confidence"), default=None)
    classes = [each for r in rules if r["kind"] == "class" for each in r["classes"]]
    start = {
        "name": settings.name,
        "mode": settings.mode,
        "classes": classes if model.classes else ", ".join(classes),
        "below": _percent(below),
        "outside": any(r["kind"] == "range" and not r["features"] for r in rules),
        "certainty": None if settings.alpha is None else _percent(1 - settings.alpha),
        "turns_at": settings.turns_at,
        "novelty": _percent(settings.novelty),
        "audit": _percent(settings.audit_probability),
        "double": _percent(settings.double_share),
        "known": _percent(settings.known_wrong_share),
        "reasons": "\n".join(each["text"] for each in settings.reasons),
        "minutes": settings.claim_minutes,
    }
    return start, [row for rule in rules for row in rows_of(rule, model)]


def show_faults(form: QueueForm, origins: list[Any], error: DomainError) -> None:
    """Puts what the service refuses at the fields from which it comes."""
    for fault in error.errors:
        place = re.match(r"rules\[(\d+)\]", fault["field"])
        if place and int(place[1]) < len(origins):
            target, name = origins[int(place[1])]
        else:
            target, name = form, _FORM_NAMES.get(re.sub(r"\[.*", "", fault["field"]))
        target.add_error(name if name in target.fields else None, fault["message"])
    if not error.errors:
        form.add_error(None, error.message)


def _unfit(model: Model, has_reference: bool) -> list[str]:
    """Fields that this model gives no sense."""
    unfit = []
    if model.gives_numbers:
        unfit += ["classes", "known"]
    else:
        unfit += ["turns_at"]
    if not model.gives_probabilities:
        unfit += ["below"]
        if not model.gives_numbers:
            unfit += ["certainty"]
    return unfit if has_reference else [*unfit, "novelty"]


def _reasons(text: str) -> list[dict[str, str]]:
    """Each line with a key made of its words, so that the same words keep their key."""
    found: list[dict[str, str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        base = re.sub(r"[^a-z0-9]+", "-", line.lower()).strip("-")[: _KEY_LENGTH - 3] or "reason"
        key, number = base, 2
        while key in {each["key"] for each in found}:
            key, number = f"{base}-{number}", number + 1
        found.append({"key": key, "text": line})
    return found


def _percent(share: float | None) -> float | None:
    if share is None:
        return None
    percent = float(f"{100 * share:.6g}")
    return int(percent) if percent.is_integer() else percent


_FORM_NAMES = {
    wire_name("audit_probability"): "audit",
    wire_name("double_share"): "double",
    wire_name("known_wrong_share"): "known",
    wire_name("claim_minutes"): "minutes",
    wire_name("turns_at"): "turns_at",
    "alpha": "certainty",
    **{name: name for name in ("name", "mode", "novelty", "reasons")},
}

"""What the pages show of feedback, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.feedback.models import Actual, Evaluation
from apps.predictions.models import PredictionRecord

_CLASSIFIES = ("classification", "classificationWithProbabilities")
_KINDS = {"agree": "good", "disagree": "bad", "unsure": "warn"}


@dataclass(frozen=True, slots=True)
class Said:
    """One evaluation with those of the same author that it took the place of, newest first."""

    entry: Evaluation
    before: tuple[Evaluation, ...]

    @property
    def kind(self) -> str:
        return _KINDS.get(self.entry.verdict or "", "none")

    @property
    def is_standing(self) -> bool:
        return self.entry.erased_at is None and self.entry.verdict != "withdrawn"

    @property
    def desired(self) -> str:
        return desired_words(self.entry)

    @property
    def seen(self) -> str:
        return seen_words(self.entry.seen_value)

    @property
    def earlier(self) -> list[tuple[Evaluation, str]]:
        return [(entry, desired_words(entry)) for entry in self.before]


@dataclass(frozen=True, slots=True)
class Truth:
    """The current actual beside the prediction, with what was reported before, newest first."""

    entry: Actual
    before: tuple[Actual, ...]
    compared: tuple[str, str]


def said_of(entries: Sequence[Evaluation]) -> list[Said]:
    """The current entry of each author, oldest first; `entries` are all of a prediction."""
    by_id = {entry.id: entry for entry in entries}
    found = []
    for entry in entries:
        if entry.is_current:
            before, at = [], entry
            while at.supersedes_id is not None and at.supersedes_id in by_id:
                at = by_id[at.supersedes_id]
                before.append(at)
            found.append(Said(entry, tuple(before)))
    return found


def truth_of(
    record: PredictionRecord, metadata: dict[str, Any], entries: Sequence[Actual]
) -> Truth | None:
    """None where nothing was reported; `entries` are all of the prediction, oldest first."""
    current = next((entry for entry in entries if entry.is_current), None)
    if current is None:
        return None
    before = tuple(entry for entry in reversed(entries) if entry is not current)
    return Truth(current, before, _compared(record, metadata, current))


def desired_words(entry: Evaluation) -> str:
    """The class or value that an author wants; its JSON where that names none."""
    return entry.desired_outcome or entry.desired_output or ""


def seen_words(seen: dict[str, Any]) -> str:
    """`having seen the prediction and shap, lime`; empty where nobody told."""
    if not seen:
        return ""
    names = ", ".join(each["name"] for each in seen.get("explanations") or [])
    if seen.get("mode") == "blind":
        first = (seen.get("first") or {}).get("verdict")
        said = f"; first answer: {first}" if first else ""
        return f"before the prediction was shown{said}"
    return f"having seen the prediction and {names}" if names else "having seen the prediction"


def _compared(
    record: PredictionRecord, metadata: dict[str, Any], actual: Actual
) -> tuple[str, str]:
    """Kind and word of the comparison; none where no classes are compared."""
    if actual.outcome is None or metadata.get("problemType") not in _CLASSIFIES:
        return "", ""
    same = actual.outcome == record.outcome
    return ("good", "as predicted") if same else ("bad", "not as predicted")

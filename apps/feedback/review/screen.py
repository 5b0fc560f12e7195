"""What the screen of a case shows: the facts, the model's view, and what helps to judge."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from apps.deployments.services import model_of
from apps.deployments.transformers import input_metadata
from apps.feedback.models import Claim, ReviewQueue
from apps.feedback.review.blind import hidden_from
from apps.feedback.review.forms import FirstAnswerForm, JudgementForm
from apps.feedback.review.models import UNDO_WITHIN
from apps.feedback.review.selectors import (
    Progress,
    correction_of,
    last_ended,
    progress_of,
    shown,
)
from apps.feedback.review.similar import Similar, similar_to
from apps.feedback.review.subjects import Model
from apps.predictions.models import PredictionRecord
from apps.predictions.presentation import facts, probabilities, sentence

VERDICTS = (("agree", "Agree", "a"), ("disagree", "Disagree", "d"), ("unsure", "Unsure", "u"))
_DAY_MS = 24 * 60 * 60 * 1000


def context_of(
    claim: Claim,
    record: PredictionRecord,
    *,
    now: datetime,
    is_ahead: bool = False,
    form: JudgementForm | None = None,
    first: FirstAnswerForm | None = None,
    problem: str = "",
) -> dict[str, Any]:
    """Everything for one case. In blind mode nothing of the model's output is in it before the
    first answer, nor what would give it away."""
    queue, model = claim.case.queue, model_for_record(record)
    seen, kind = shown(claim), kind_of(record, model)
    context = {
        "queue": queue,
        "claim": claim,
        "deployment": queue.deployment,
        "facts": _facts(record),
        "kind": kind,
        "is_held": claim.state not in (Claim.State.ANSWERED, Claim.State.SKIPPED),
        "is_erased": record.output is None,
        "correction": correction_of(claim),
        "is_ahead": is_ahead,
        "problem": problem,
        "shown": seen,
        **standing(queue, claim, now=now, is_ahead=is_ahead),
    }
    if not seen.shows_output:
        return context | {"choices": choices_of(model, record, kind), "first": first}
    said, sure = sentence(record, model.metadata)
    form = form or JudgementForm(kind, initial=_start(claim, record, model, kind))
    return context | {
        "record": record,
        "said": said,
        "sure": sure,
        "probabilities": probabilities(record, model.metadata),
        "others": [(each, _reason(each), correction_of(each)) for each in seen.others],
        "are_unsure": all(each.verdict == "unsure" for each in seen.others),
        "causes": seen.causes,
        "found_by": [each for each in seen.causes if each["kind"] != "request"],
        "choices": [each for each in choices_of(model, record, kind) if each != record.outcome],
        "similar": _similar(claim, record, model, now),
        "form": form,
        "verdicts": VERDICTS,
    }


def standing(
    queue: ReviewQueue, claim: Claim, *, now: datetime, is_ahead: bool = False
) -> dict[str, Any]:
    """The counter, and whether there is something to undo. A case that is loaded ahead is shown
    when the one before it is judged."""
    progress: Progress = progress_of([queue], claim.reviewer, now=now)[queue.id]
    last = last_ended(queue, claim.reviewer)
    is_recent = last is not None and last.ended_at is not None and now - last.ended_at < UNDO_WITHIN
    return {
        "done": progress.done_by_me + is_ahead,
        "left": max(0, progress.for_me - 1 - is_ahead),
        "can_undo": is_recent or is_ahead,
    }


def model_for_record(record: PredictionRecord) -> Model:
    assert record.revision is not None
    return Model(model_of(record.revision).metadata)


def kind_of(record: PredictionRecord, model: Model) -> str:
    """How a value of the model is entered: a choice, a number, or text."""
    output = record.output_value
    is_one = not isinstance(output, list) or len(output) == 1
    if model.gives_numbers:
        return "number" if is_one else "text"
    return "choice" if choices_of(model, record, "choice") else "text"


def choices_of(model: Model, record: PredictionRecord, kind: str) -> list[str]:
    """The classes, by name, or by number where nobody named them."""
    if kind != "choice":
        return []
    output = record.output_value
    if model.classes or not model.gives_probabilities or not isinstance(output, list):
        return model.classes
    return model.names(len(output))


def explanations_shown(record: PredictionRecord, keys: list[str]) -> list[dict[str, str]]:
    """Those of the prediction's explanations that stood on the screen, by their ids."""
    found: list[dict[str, str]] = import_string(settings.SHOWN_EXPLANATIONS)(record)
    return [each for each in found if each["id"] in keys]


def spent_ms(claim: Claim, told: int | None, now: datetime) -> int:
    """How long a case was looked at: what the page measured, at most as long as it was held; all
    of that where nothing was measured."""
    held = max(0, min(_DAY_MS, round((now - claim.at).total_seconds() * 1000)))
    return held if told is None else max(0, min(told, held))


def _facts(record: PredictionRecord) -> list[dict[str, Any]]:
    """The inputs in words, with what training never saw of them."""
    assert record.revision is not None
    metadata = input_metadata(record.revision)
    known = {each["name"]: each for each in metadata.get("features") or []}
    values = record.input_value
    found = []
    for fact in facts(values, metadata):
        categories = [str(each) for each in known.get(fact.name, {}).get("categories") or []]
        value = values.get(fact.name) if isinstance(values, dict) else None
        is_new = bool(categories) and value is not None and str(value) not in categories
        found.append({"fact": fact, "is_outside": fact.is_outside, "is_new": is_new})
    return found


def _similar(claim: Claim, record: PredictionRecord, model: Model, now: datetime) -> list[Similar]:
    if record.output is None:
        return []
    return similar_to(record, model, hidden=hidden_from(claim.reviewer, now=now))


def _reason(claim: Claim) -> str:
    """The reason that another reviewer chose, in the queue's words."""
    key = claim.draft.get("reason")
    reasons = claim.case.queue.reasons
    return next((each["text"] for each in reasons if each["key"] == key), key or "")


def _start(claim: Claim, record: PredictionRecord, model: Model, kind: str) -> dict[str, Any]:
    """What was typed before; else what follows from the first answer."""
    draft = claim.draft
    others = [each for each in choices_of(model, record, kind) if each != record.outcome]
    start = {
        "verdict": draft.get("verdict"),
        "desired": draft.get("desiredOutput"),
        "comment": draft.get("comment"),
        "reason": draft.get("reason"),
    }
    if claim.first_answer and not start["verdict"]:
        is_same = claim.first_answer.get("outcome") == record.outcome
        start["verdict"] = "agree" if is_same else "disagree"
        start["desired"] = None if is_same else claim.first_answer.get("desiredOutput")
    if not start["desired"] and len(others) == 1:
        start["desired"] = others[0]
    return start

"""What comes of a case: the first answer, the judgement, and taking it back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.audit import services as audit
from apps.core.errors import Conflict, Invalid
from apps.deployments.services import model_of
from apps.feedback.authors import Author
from apps.feedback.models import Claim, Evaluation, ReviewCase
from apps.feedback.review.blind import is_hidden
from apps.feedback.review.claims import Gone, hold, locked, own
from apps.feedback.review.models import UNDO_WITHIN
from apps.feedback.services.evaluations import (
    Judgement,
    checked_wish,
    evaluate_prediction,
    withdraw_evaluation,
)
from apps.feedback.values import Unfit, read_wish
from apps.predictions.models import PredictionRecord

Claimed = Claim.State
Case = ReviewCase.State


@transaction.atomic
def reveal(*, claim: Claim, first_answer: Any, by: Author, now: datetime) -> Claim:
    """Blind mode: keeps what the reviewer says before the model's output is shown; from then on
    it may be. `first_answer` is a value of the model. Raises Invalid for another, Conflict where
    it was given already."""
    own(claim, by.id)
    prediction = _prediction(claim)
    case, current = locked(claim)
    hold(case, current, now)
    if not case.queue.is_blind:
        raise Conflict("This queue shows the model's output from the start.")
    if current.revealed_at is not None:
        raise Conflict("Your first answer was kept already; it cannot be changed any more.")
    current.first_answer = _first(prediction, first_answer)
    current.revealed_at = now
    current.save()
    return current


@transaction.atomic
def look(*, claim: Claim, by: Author, now: datetime) -> Claim:
    """Blind mode: the reviewer leaves the case to others for good and may see the output, which
    an event says. Raises Conflict where nothing is hidden from them."""
    own(claim, by.id)
    case, current = locked(claim)
    if not is_hidden(current, now=now):
        raise Conflict("Nothing of this case is hidden from you.")
    if current.state == Claimed.HELD:
        case.taken -= 1
        case.save(update_fields=["taken"])
    current.state, current.ended_at, current.revealed_at = Claimed.SKIPPED, now, now
    current.save(update_fields=["state", "ended_at", "revealed_at"])
    _note_look(case, by, now)
    return current


@transaction.atomic
def answer(*, claim: Claim, judgement: Judgement, by: Author, now: datetime) -> Claim:
    """Keeps a judgement as an evaluation of `by`, whose claim it is, and closes the case or sends
    it on. `judgement.seen` may name the `explanations` that were shown; the rest of it is written
    here. A known error's answer stays with the claim.

    Raises what `evaluate_prediction` raises; Invalid for a reason that the queue does not offer,
    Conflict where somebody else has the case, or before the first answer in blind mode.
    """
    own(claim, by.id)
    prediction = _prediction(claim)
    case, current = locked(claim)
    hold(case, current, now)
    _check(case, current, judgement)
    given = replace(judgement, seen=_seen(case, current, judgement))
    wish = checked_wish(prediction, given)
    if not case.is_seeded:
        current.evaluation = evaluate_prediction(
            prediction=prediction, judgement=given, by=by, now=now
        )
    current.state, current.ended_at = Claimed.ANSWERED, now
    current.verdict = judgement.verdict
    current.outcome = wish.outcome if wish else None
    current.spent_ms = judgement.spent_ms
    current.draft = _draft(judgement)
    current.save()
    _settle(case, now)
    return current


@transaction.atomic
def undo(*, claim: Claim, by: Author, now: datetime) -> Claim:
    """Takes the reviewer's last answer or skip in a queue back; they hold the case again, with
    what they had said as the draft. The evaluation is withdrawn, and stays on the record.

    Raises Conflict after ten minutes, for an earlier one, or where the case has gone on.
    """
    own(claim, by.id)
    prediction = _prediction(claim)
    case, current = locked(claim)
    _check_undo(case, current, now)
    was_answered = current.state == Claimed.ANSWERED
    said = current.evaluation
    if said is not None and said.verdict != Evaluation.Verdict.WITHDRAWN:
        withdraw_evaluation(evaluation=said, prediction=prediction, by=by, now=now)
    current.state, current.evaluation = Claimed.HELD, None
    current.verdict = current.outcome = current.ended_at = None
    current.until = now + timedelta(minutes=case.queue.claim_minutes)
    current.save()
    _reopen(case, current, was_answered)
    return current


def _prediction(claim: Claim) -> PredictionRecord:
    """Locked before the case, as an erasure does it."""
    rows = PredictionRecord.objects.select_for_update(of=("self",))
    found = rows.select_related("deployment", "revision").filter(
        id=claim.case.prediction_id, salt__isnull=False
    )
    record = found.first()
    if record is None:
        raise Gone("This prediction was erased: there is nothing left to judge.")
    return record


def _first(prediction: PredictionRecord, given: Any) -> dict[str, Any]:
    assert prediction.revision is not None
    metadata = model_of(prediction.revision).metadata
    try:
        value = read_wish(given, metadata, prediction.output_value)
    except Unfit as error:
        raise _invalid("firstAnswer", str(error)) from None
    if value is None:
        raise _invalid("firstAnswer", "Say what you hold right; then the model's output shows.")
    return {"desiredOutput": given, "outcome": value.outcome}


def _check(case: ReviewCase, claim: Claim, judgement: Judgement) -> None:
    if case.queue.is_blind and claim.revealed_at is None and not claim.is_adjudication:
        raise Conflict("Give your own answer first; then the model's output shows.")
    keys = [each["key"] for each in case.queue.reasons]
    if judgement.reason and judgement.reason not in keys:
        offered = f"Choose one of {', '.join(keys)}." if keys else "This queue offers no reasons."
        raise _invalid("reason", offered)


def _seen(case: ReviewCase, claim: Claim, judgement: Judgement) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "mode": case.queue.mode,
        "explanations": (judgement.seen or {}).get("explanations") or [],
        "claim": str(claim.id),
    }
    if claim.first_answer is not None:
        seen["first"] = claim.first_answer
    return seen | {"adjudicates": True} if claim.is_adjudication else seen


def _draft(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict,
        "desiredOutput": judgement.desired_output,
        "comment": judgement.comment,
        "reason": judgement.reason,
    }


def _settle(case: ReviewCase, now: datetime) -> None:
    """Done when as many as wanted have judged; to a third where two do not say the same."""
    answered = list(Claim.objects.filter(case=case, state=Claimed.ANSWERED))
    if len(answered) < case.wanted:
        return
    if any(each.is_adjudication for each in answered) or _agree(answered):
        case.state, case.closed_at = Case.DONE, now
    else:
        case.state, case.wanted = Case.ADJUDICATION, case.wanted + 1
    case.save(update_fields=["state", "closed_at", "wanted"])


def _agree(answered: Sequence[Claim]) -> bool:
    """True where all say the same and not all are unsure; one alone agrees with itself."""
    if len(answered) == 1:
        return True
    verdicts = {each.verdict for each in answered}
    outcomes = {each.outcome for each in answered} - {None}
    return len(verdicts) == 1 and len(outcomes) <= 1 and Evaluation.Verdict.UNSURE not in verdicts


def _check_undo(case: ReviewCase, claim: Claim, now: datetime) -> None:
    if claim.state not in (Claimed.ANSWERED, Claimed.SKIPPED) or claim.ended_at is None:
        raise Conflict("There is nothing to undo: this case was neither judged nor skipped.")
    if claim.ended_at < now - UNDO_WITHIN:
        minutes = int(UNDO_WITHIN.total_seconds() // 60)
        text = f"More than {minutes} minutes have passed. Correct the evaluation instead, on the "
        raise Conflict(text + "page of its prediction.")
    if claim.state == Claimed.SKIPPED and case.queue.is_blind and _has_looked(claim):
        raise Conflict("You have seen the output of this case, so it stays with others.")
    later = Claim.objects.filter(
        reviewer=claim.reviewer_id,
        case__queue=case.queue,
        state__in=(Claimed.ANSWERED, Claimed.SKIPPED),
        ended_at__gt=claim.ended_at,
    )
    if later.exists():
        raise Conflict("Only the last answer can be undone, and there is a later one.")


def _has_looked(claim: Claim) -> bool:
    return claim.revealed_at is not None and claim.first_answer is None


def _note_look(case: ReviewCase, by: Author, now: datetime) -> None:
    deployment = case.queue.deployment
    audit.record(
        name="review.looked",
        by=by.actor,
        workspace_id=deployment.workspace_id,
        object_type="review_case",
        object_id=case.id,
        object_name=deployment.name,
        data={
            "predictionId": case.prediction_id,
            "deploymentId": deployment.id,
            "queueId": case.queue_id,
            "queue": case.queue.name,
        },
        at=now,
    )


def _reopen(case: ReviewCase, claim: Claim, was_answered: bool) -> None:
    """Puts the case where it was before the answer or skip."""
    if not was_answered:
        if case.state not in ReviewCase.OPEN or case.taken >= case.wanted:
            raise Conflict("Somebody else has taken this case since you skipped it.")
        case.taken += 1
    elif case.state == Case.ADJUDICATION and not claim.is_adjudication:
        if Claim.objects.filter(
            case=case, is_adjudication=True, state__in=(Claimed.HELD, Claimed.ANSWERED)
        ).exists():
            raise Conflict("Somebody decides between your answer and another one already.")
        case.state, case.wanted = Case.WAITING, case.wanted - 1
    elif case.state == Case.DONE:
        case.state = Case.ADJUDICATION if claim.is_adjudication else Case.WAITING
        case.closed_at = None
    case.save(update_fields=["state", "closed_at", "wanted", "taken"])


def _invalid(field: str, text: str) -> Invalid:
    return Invalid(text, [{"field": field, "message": text}])

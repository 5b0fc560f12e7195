"""Judging a prediction, correcting a judgement, and taking it back."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from apps.audit import services as audit
from apps.core.errors import Conflict, DomainError, Invalid
from apps.deployments.services import model_of
from apps.feedback.authors import Author
from apps.feedback.commitment import commit
from apps.feedback.models import Claim, Evaluation
from apps.feedback.values import Unfit, Value, read_wish
from apps.predictions.models import PredictionRecord

Verdict = Evaluation.Verdict
LONGEST_COMMENT = 10_000
_REASON = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_GIVEN = (Verdict.AGREE, Verdict.DISAGREE, Verdict.UNSURE)
_LONGEST_MS = 24 * 60 * 60 * 1000


class Erased(DomainError):
    """There is nothing left to judge."""

    status = 410


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an author says; `seen` as `Evaluation.seen` holds it, None where nobody told."""

    verdict: str
    desired_output: Any = None
    comment: str = ""
    reason: str = ""
    seen: dict[str, Any] | None = None
    spent_ms: int | None = None


@transaction.atomic
def evaluate_prediction(
    *, prediction: PredictionRecord, judgement: Judgement, by: Author, now: datetime
) -> Evaluation:
    """Keeps a judgement of a prediction, with its event.

    Raises Erased, Conflict where this author has judged it already, and Invalid with the field.
    """
    _lock(prediction)
    before = _current(prediction, by)
    if before is not None and before.verdict != Verdict.WITHDRAWN:
        raise Conflict(
            f"{by.name} has evaluated this prediction already; correct that evaluation instead."
        )
    made = _filled(prediction, judgement, by, now)
    return _save(made, before, "evaluation.given", by, prediction)


@transaction.atomic
def correct_evaluation(
    *,
    evaluation: Evaluation,
    prediction: PredictionRecord,
    judgement: Judgement,
    by: Author,
    now: datetime,
) -> Evaluation:
    """Another judgement of the same author instead of an earlier one, which stays on the record.

    Raises what `evaluate_prediction` raises; PermissionDenied for another author's, Conflict
    where the earlier one does not stand any more.
    """
    before = _own(evaluation, prediction, by)
    made = _filled(prediction, judgement, by, now)
    made.seen = made.seen or before.seen
    return _save(made, before, "evaluation.corrected", by, prediction)


@transaction.atomic
def withdraw_evaluation(
    *, evaluation: Evaluation, prediction: PredictionRecord, by: Author, now: datetime
) -> Evaluation:
    """Takes a judgement back; what it said stays on the record. Raises as a correction does."""
    before = _own(evaluation, prediction, by)
    made = _begun(prediction, by, now)
    made.verdict = Verdict.WITHDRAWN
    return _save(made, before, "evaluation.withdrawn", by, prediction)


def _lock(prediction: PredictionRecord) -> None:
    """Holds off erasures and other judgements until the transaction ends."""
    locked = PredictionRecord.objects.select_for_update(of=("self",)).filter(
        id=prediction.id, salt__isnull=False
    )
    if not locked.exists():
        raise Erased("This prediction was erased: there is nothing left to evaluate.")


def _current(prediction: PredictionRecord, by: Author) -> Evaluation | None:
    return Evaluation.objects.filter(
        prediction_id=prediction.id, author_kind=by.kind, author_id=by.id, is_current=True
    ).first()


def _own(evaluation: Evaluation, prediction: PredictionRecord, by: Author) -> Evaluation:
    if (evaluation.author_kind, evaluation.author_id) != (by.kind, by.id):
        raise PermissionDenied("Only its author corrects an evaluation; give one of your own.")
    _lock(prediction)
    current = _current(prediction, by)
    if current != evaluation or evaluation.verdict == Verdict.WITHDRAWN:
        raise Conflict("This evaluation was corrected or withdrawn meanwhile; look at it again.")
    return evaluation


def _begun(prediction: PredictionRecord, by: Author, now: datetime) -> Evaluation:
    return Evaluation(
        prediction_id=prediction.id,
        predicted_at=prediction.at,
        predicted_outcome=prediction.outcome,
        deployment_id=prediction.deployment_id,
        at=now,
        author_kind=by.kind,
        author_id=by.id,
        author_name=by.name[:200],
        key_pair_id=by.key_pair_id,
    )


def _filled(
    prediction: PredictionRecord, judgement: Judgement, by: Author, now: datetime
) -> Evaluation:
    wish = checked_wish(prediction, judgement)
    made = _begun(prediction, by, now)
    made.verdict = judgement.verdict
    made.desired_output = wish.text if wish else None
    made.desired_outcome = wish.outcome if wish else None
    made.comment = judgement.comment or None
    made.reason = judgement.reason or None
    made.spent_ms = judgement.spent_ms
    if judgement.seen is not None:
        made.seen = json.dumps(judgement.seen, ensure_ascii=False, sort_keys=True)
    return made


def _check(judgement: Judgement) -> None:
    if judgement.verdict not in _GIVEN:
        raise _invalid("verdict", f"Say one of {', '.join(_GIVEN)}.")
    if len(judgement.comment) > LONGEST_COMMENT:
        count = len(judgement.comment)
        text = f"A comment has at most {LONGEST_COMMENT:,} characters; this one has {count:,}."
        raise _invalid("comment", text)
    if judgement.reason and not _REASON.fullmatch(judgement.reason):
        text = "A reason is a key of at most 40 small letters, digits, hyphens and underscores."
        raise _invalid("reason", text)
    if judgement.spent_ms is not None and not 0 <= judgement.spent_ms <= _LONGEST_MS:
        raise _invalid("spentMs", "The time spent is between 0 milliseconds and a day.")


def checked_wish(prediction: PredictionRecord, judgement: Judgement) -> Value | None:
    """The desired output of a judgement that could be kept; None where it names none. Raises
    Invalid with the field, as `evaluate_prediction` does."""
    _check(judgement)
    assert prediction.revision is not None
    metadata = model_of(prediction.revision).metadata
    try:
        return read_wish(judgement.desired_output, metadata, prediction.output_value)
    except Unfit as error:
        raise _invalid("desiredOutput", str(error)) from None


def _invalid(field: str, text: str) -> Invalid:
    return Invalid(text, [{"field": field, "message": text}])


def _save(
    made: Evaluation,
    before: Evaluation | None,
    name: str,
    by: Author,
    prediction: PredictionRecord,
) -> Evaluation:
    if before is not None:
        Evaluation.objects.filter(id=before.id).update(is_current=False)
    made.supersedes = before
    commit(made)
    made.save(force_insert=True)
    if before is not None:
        # What was answered in a queue stays with the claim; this is what its author says now.
        Claim.objects.filter(evaluation=before).update(evaluation=made)
    deployment = prediction.deployment
    audit.record(
        name=name,
        by=by.actor,
        workspace_id=deployment.workspace_id,
        object_type="evaluation",
        object_id=made.id,
        object_name=deployment.name,
        data={
            "predictionId": prediction.id,
            "deploymentId": deployment.id,
            "supersedes": made.supersedes_id,
            "digest": bytes(made.digest).hex(),
        },
        at=made.at,
    )
    return made

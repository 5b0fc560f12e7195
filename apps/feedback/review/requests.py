"""Asking that people look at a prediction: what a person affected by it may want."""

from datetime import datetime
from typing import Any

from django.db import transaction

from apps.audit import services as audit
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Deployment
from apps.feedback.authors import Author
from apps.feedback.models import ReviewCase, ReviewQueue
from apps.feedback.review.causes import REQUESTED, Cause
from apps.feedback.review.intake import was_looked_at
from apps.feedback.review.texts import keepable
from apps.feedback.services.evaluations import Erased
from apps.predictions.models import PredictionRecord

LONGEST_REASON = 2_000
State = ReviewCase.State


def queue_for_requests(deployment: Deployment) -> ReviewQueue:
    """Where a request goes that names no queue: the oldest open one. Raises Conflict."""
    found = ReviewQueue.objects.filter(deployment=deployment, is_open=True)
    queue = found.select_related("deployment").order_by("id").first()
    if queue is None:
        text = "No review queue of this deployment is open; its operator opens or makes one."
        raise Conflict(text)
    return queue


@transaction.atomic
def ask_for_review(
    *, queue: ReviewQueue, prediction: PredictionRecord, reason: str, by: Author, now: datetime
) -> ReviewCase:
    """Puts a prediction before all others of a queue, whatever its rules say.

    Who asked and why stands with the case, and goes with an erasure. Where the case is done
    already, one more person judges it. Raises Invalid without a reason, Conflict where the same
    author asked already and nobody has judged it since, Erased for what has no content.
    """
    text = _reason(reason)
    ReviewQueue.objects.select_for_update(no_key=True).get(id=queue.id)
    locked = PredictionRecord.objects.select_for_update(of=("self",), no_key=True)
    record = locked.filter(id=prediction.id, salt__isnull=False).first()
    if record is None:
        raise Erased("This prediction was erased: there is nothing left to review.")
    case = (
        ReviewCase.objects.select_for_update().filter(queue=queue, prediction_id=record.id).first()
    )
    if case is None:
        case = _new_case(queue, record, now)
    else:
        _again(case, by)
    cause = Cause("request", text, REQUESTED).row | {"by": by.name, "at": now.isoformat()}
    case.causes = [*case.causes, cause | {"authorId": by.id}]
    case.save()
    _record(case, queue, by, now)
    return case


def _new_case(queue: ReviewQueue, record: PredictionRecord, now: datetime) -> ReviewCase:
    return ReviewCase(
        queue=queue,
        prediction_id=record.id,
        at=now,
        is_certain=True,
        is_of_stream=was_looked_at(queue, record),
        probability=1,
        slice_probability=queue.audit_probability,
        priority=REQUESTED,
    )


def _again(case: ReviewCase, by: Author) -> None:
    """Makes a case that is there already one that somebody asked for."""
    asked = any(each.get("authorId") == by.id for each in case.causes)
    if asked and case.state in ReviewCase.OPEN:
        raise Conflict(f"{by.name} has asked for this review already; it waits for a reviewer.")
    case.is_seeded = False
    case.is_certain, case.probability, case.priority = True, 1, REQUESTED
    if case.state == State.DONE:
        case.state, case.closed_at = State.WAITING, None
        case.wanted = case.taken + 1


def _reason(given: Any) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if not text or len(text) > LONGEST_REASON or not keepable(text):
        words = f"Say why it should be reviewed, in at most {LONGEST_REASON:,} characters."
        raise Invalid(words, [{"field": "reason", "message": words}])
    return text


def _record(case: ReviewCase, queue: ReviewQueue, by: Author, now: datetime) -> None:
    """Without the reason: it is personal data, and events are kept for ever."""
    audit.record(
        name="review.asked",
        by=by.actor,
        workspace_id=queue.deployment.workspace_id,
        object_type="review_case",
        object_id=case.id,
        object_name=queue.deployment.name,
        data={
            "predictionId": case.prediction_id,
            "deploymentId": queue.deployment_id,
            "queueId": queue.id,
            "queue": queue.name,
        },
        at=now,
    )

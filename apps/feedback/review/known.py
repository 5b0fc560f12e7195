"""Known errors, shown once more to see whether a review finds them.

A known error is a past prediction of the deployment that its actual contradicts. What is said of
it stays with the claim: it is no evaluation, and no estimate counts it.
"""

from datetime import datetime
from uuid import UUID

from apps.feedback.models import Actual, ReviewCase, ReviewQueue
from apps.feedback.review.causes import Draws
from apps.predictions.models import PredictionRecord

_NEWEST = 2_000


def seed(*, queue: ReviewQueue, count: int, draws: Draws, now: datetime) -> int:
    """Puts up to `count` known errors into a queue that have not been in it; returns how many."""
    if not count:
        return 0
    errors = sorted(_errors(queue), key=lambda each: draws.place("seed", each))
    rows = [
        ReviewCase(
            queue=queue,
            prediction_id=prediction,
            at=now,
            is_seeded=True,
            is_of_stream=False,
            probability=queue.audit_probability,
            slice_probability=queue.audit_probability,
            priority=1 + draws.place("order", prediction),
        )
        for prediction in errors[:count]
    ]
    return len(ReviewCase.objects.bulk_create(rows))


def _errors(queue: ReviewQueue) -> list[UUID]:
    """Contradicted predictions among the newest 2,000 with an actual, not in the queue yet."""
    known = Actual.objects.filter(
        deployment=queue.deployment_id, is_current=True, erased_at=None, outcome__isnull=False
    )
    newest = known.order_by("-prediction_id").values_list("prediction_id", "outcome")
    actuals = dict(newest[:_NEWEST])
    records = PredictionRecord.objects.filter(id__in=actuals, salt__isnull=False)
    said = dict(records.values_list("id", "outcome"))
    here = ReviewCase.objects.filter(queue=queue, prediction_id__in=actuals)
    taken = set(here.values_list("prediction_id", flat=True))
    return [
        each
        for each, outcome in said.items()
        if outcome is not None and outcome != actuals[each] and each not in taken
    ]

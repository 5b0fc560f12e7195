"""What follows from the erasure of a prediction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models.functions import Coalesce

from apps.feedback.commitment import PAYLOAD
from apps.feedback.datasets import services as datasets
from apps.feedback.models import Claim, ReviewCase


def forget(*, predictions: Sequence[UUID], now: datetime) -> None:
    """Takes what was said of predictions that are erased, in the same transaction; the digests
    stay under their events. Their cases leave the queues, and data sets that hold them are
    removed. The caller holds the locks of the predictions; those of cases follow in the order of
    their ids, then those of data sets, whose events come last."""
    for model, names in PAYLOAD.items():
        model._default_manager.filter(prediction_id__in=predictions, erased_at=None).update(
            **dict.fromkeys(names), salt=None, erased_at=now
        )
    cases = ReviewCase.objects.filter(prediction_id__in=predictions)
    locked = cases.select_for_update().order_by("id")
    cases = ReviewCase.objects.filter(id__in=list(locked.values_list("id", flat=True)))
    cases.update(state=ReviewCase.State.WITHDRAWN, closed_at=Coalesce("closed_at", now), causes=[])
    claims = Claim.objects.filter(case__in=cases)
    claims.update(draft={}, first_answer=None, verdict=None, outcome=None)
    held = claims.filter(state=Claim.State.HELD)
    held.update(state=Claim.State.RELEASED, ended_at=now)
    datasets.forget(predictions=predictions, now=now)

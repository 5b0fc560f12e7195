"""What follows from the erasure of a prediction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apps.feedback.commitment import PAYLOAD


def forget(*, predictions: Sequence[UUID], now: datetime) -> None:
    """Takes what was said of predictions that are erased, in the same transaction; the digests
    stay under their events."""
    for model, names in PAYLOAD.items():
        model._default_manager.filter(prediction_id__in=predictions, erased_at=None).update(
            **dict.fromkeys(names), salt=None, erased_at=now
        )

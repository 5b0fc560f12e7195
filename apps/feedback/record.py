"""Evaluations and actuals as a part of the record, walked by `verify`."""

from apps.feedback.models import Actual, Evaluation
from apps.feedback.verification import NAME, faults
from apps.predictions.record_parts import RecordPart


def _count() -> int:
    return Evaluation.objects.count() + Actual.objects.count()


PART = RecordPart(NAME, _count, faults)

"""Reads what was said of predictions, a constant number of queries for any number of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from apps.feedback.authors import Author
from apps.feedback.models import Actual, Evaluation
from apps.predictions.models import PredictionRecord


@dataclass(slots=True)
class Feedback:
    """What stands of one prediction: evaluations oldest first, and the actual."""

    evaluations: list[Evaluation] = field(default_factory=list)
    actual: Actual | None = None


def feedback_on(predictions: Iterable[UUID]) -> dict[UUID, Feedback]:
    """What stands of some predictions now; every one of them has an entry."""
    found: dict[UUID, Feedback] = defaultdict(Feedback)
    wanted = list(predictions)
    for identifier in wanted:
        found[identifier] = Feedback()
    for evaluation in Evaluation.objects.standing().filter(prediction_id__in=wanted).order_by("id"):
        found[evaluation.prediction_id].evaluations.append(evaluation)
    for actual in Actual.objects.filter(prediction_id__in=wanted, is_current=True, erased_at=None):
        found[actual.prediction_id].actual = actual
    return dict(found)


def own_evaluation(prediction: PredictionRecord, author: Author) -> Evaluation | None:
    """What the author says of the prediction now."""
    return (
        Evaluation.objects.standing()
        .filter(prediction_id=prediction.id, author_kind=author.kind, author_id=author.id)
        .first()
    )


def evaluations_of(prediction: PredictionRecord) -> list[Evaluation]:
    """Everything that was ever said of a prediction, oldest first."""
    return list(Evaluation.objects.filter(prediction_id=prediction.id).order_by("id"))


def actuals_of(prediction: PredictionRecord) -> list[Actual]:
    """Everything that was reported as its actual, oldest first."""
    return list(Actual.objects.filter(prediction_id=prediction.id).order_by("id"))

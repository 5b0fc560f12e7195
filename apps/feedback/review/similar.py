"""Past cases like the one that is judged, of which somebody knows more than the model said."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from apps.deployments.models import Deployment
from apps.feedback.models import Actual, Evaluation
from apps.feedback.review.subjects import FIELDS, Model, Subject, as_number, subject_of
from apps.feedback.selectors import Feedback, feedback_on
from apps.feedback.statistics.novelty import nearest
from apps.predictions.models import PredictionRecord

LOOKED_AT = 1_000
_CATEGORIES = ("category", "text", "boolean")
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Similar:
    """A past case. `alike`: 1 for the same values, 0 where every feature differs; `others`: what
    it has otherwise, in words, `more` of them unnamed."""

    record: PredictionRecord
    alike: float
    others: list[str]
    more: int
    feedback: Feedback


def similar_to(
    record: PredictionRecord, model: Model, *, hidden: Collection[UUID] = (), most: int = 4
) -> list[Similar]:
    """The nearest of the newest 1,000 predictions of the deployment with an actual or an
    evaluation, by the distance that novelty has, but none that is `hidden`; none for models
    without named features."""
    case = subject_of(record, model)
    records = [each for each in _known(record) if each.id not in hidden]
    subjects = [subject_of(each, model) for each in records]
    names = [name for name in model.features if name in case.values]
    if not names or not records:
        return []
    columns, categories = _columns(names, model, [*subjects, case])
    own = {name: values.pop() for name, values in columns.items()}
    found = nearest(own, columns, categories, most)
    said = feedback_on([records[at].id for at, _ in found])
    return [
        _similar(records[at], subjects[at], case, 1 - apart, names, model, said[records[at].id])
        for at, apart in found
    ]


def _similar(
    record: PredictionRecord,
    subject: Subject,
    case: Subject,
    alike: float,
    names: Sequence[str],
    model: Model,
    feedback: Feedback,
) -> Similar:
    differs = [name for name in names if subject.values.get(name) != case.values.get(name)]
    words = [model.words(name, subject.values.get(name)) for name in differs[:_NAMED]]
    return Similar(record, alike, words, len(differs) - len(words), feedback)


def _known(record: PredictionRecord) -> list[PredictionRecord]:
    ids = _with_outcome(record.deployment, record.id)
    found = PredictionRecord.objects.filter(id__in=ids, salt__isnull=False)
    return list(found.only(*FIELDS, "at", "custom_id").order_by("-id"))


def _with_outcome(deployment: Deployment, but: UUID) -> list[UUID]:
    actuals = Actual.objects.filter(deployment=deployment, is_current=True, erased_at=None)
    said = Evaluation.objects.standing().filter(deployment=deployment)
    newest = (
        rows.order_by("-prediction_id").values_list("prediction_id", flat=True)[:LOOKED_AT]
        for rows in (actuals, said)
    )
    return sorted(set(chain.from_iterable(newest)) - {but}, reverse=True)[:LOOKED_AT]


def _columns(
    names: Sequence[str], model: Model, subjects: Sequence[Subject]
) -> tuple[dict[str, list[Any]], set[str]]:
    """Values by feature, and which features are categories: those typed so, and what holds other
    than numbers."""
    columns = {name: [each.values.get(name) for each in subjects] for name in names}
    words = {name for name, values in columns.items() if _is_category(name, values, model)}
    plain = {
        name: values if name in words else [as_number(each) for each in values]
        for name, values in columns.items()
    }
    return plain, words


def _is_category(name: str, values: Sequence[Any], model: Model) -> bool:
    if model.features[name].get("type") in _CATEGORIES:
        return True
    return any(each is not None and as_number(each) is None for each in values)

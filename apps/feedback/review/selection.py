"""Finds the causes for which predictions of one revision enter a queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.deployments.models import Deployment, Revision
from apps.deployments.services import model_of
from apps.feedback.models import ReviewQueue
from apps.feedback.review.causes import BY_RULE, Cause
from apps.feedback.review.newness import Newness, newness_of
from apps.feedback.review.rules import Applied, applied
from apps.feedback.review.settings import QueueSettings
from apps.feedback.review.subjects import Model, Subject, subject_of
from apps.feedback.review.uncertainty import Uncertainty, uncertainty_of
from apps.predictions.models import PredictionRecord

Settings = ReviewQueue | QueueSettings
_DECISIVE = ("rules", "alpha", "turns_at", "novelty")


@dataclass(frozen=True, slots=True)
class Selection:
    """What decides over the predictions of a revision, made ready once."""

    model: Model
    rules: list[tuple[str, Applied]]
    uncertainty: Uncertainty | None
    newness: Newness | None

    def causes(self, records: Sequence[PredictionRecord]) -> list[list[Cause]]:
        """For every record why it enters; empty where only the draw can let it in."""
        subjects = [subject_of(record, self.model) for record in records]
        found = [self._by_rule(each) for each in subjects]
        for way in (self.uncertainty, self.newness):
            if way is not None and subjects:
                for causes, cause in zip(found, way.causes(subjects), strict=True):
                    causes += [cause] if cause else []
        return found

    def _by_rule(self, subject: Subject) -> list[Cause]:
        said = ((kind, rule(subject)) for kind, rule in self.rules)
        return [Cause(kind, words, BY_RULE) for kind, words in said if words]


class Selections:
    """The selections of one queue by revision, each made when a prediction of it is met."""

    def __init__(self, deployment: Deployment, settings: Settings) -> None:
        self.deployment = deployment
        self.settings = settings
        self._made: dict[UUID | None, Selection] = {}

    def renew(self, settings: Settings) -> None:
        """Begins anew where the settings are others than those so far."""
        if any(getattr(settings, n) != getattr(self.settings, n) for n in _DECISIVE):
            self.settings = settings
            self._made = {}

    def causes(self, records: Sequence[PredictionRecord]) -> dict[UUID, list[Cause]]:
        """The causes of each record, by its id."""
        by_revision: dict[UUID | None, list[PredictionRecord]] = {}
        for record in records:
            by_revision.setdefault(record.revision_id, []).append(record)
        found: dict[UUID, list[Cause]] = {}
        for revision_id, group in by_revision.items():
            causes = self._of(revision_id).causes(group)
            found |= {record.id: each for record, each in zip(group, causes, strict=True)}
        return found

    def _of(self, revision_id: UUID | None) -> Selection:
        if revision_id not in self._made:
            self._made[revision_id] = self._make(revision_id)
        return self._made[revision_id]

    def _make(self, revision_id: UUID | None) -> Selection:
        given = self.settings
        revision = _revision(revision_id)
        version = model_of(revision) if revision else None
        model = Model(version.metadata if version else {})
        uncertainty = newness = None
        if given.alpha is not None:
            uncertainty = uncertainty_of(
                self.deployment, revision_id, model, given.alpha, given.turns_at
            )
        if given.novelty is not None and version is not None:
            newness = newness_of(version, model, given.novelty)
        return Selection(model, applied(_fitting(given.rules, model), model), uncertainty, newness)


def _revision(identifier: UUID | None) -> Revision | None:
    found = Revision.objects.filter(id=identifier) if identifier else Revision.objects.none()
    return found.prefetch_related("components__model_version__reference__artifact").first()


def _fitting(rules: Sequence[dict[str, Any]], model: Model) -> list[dict[str, Any]]:
    """Without rules on features that another revision's model has not."""
    return [rule for rule in rules if rule.get("feature", "") in {"", *model.features}]

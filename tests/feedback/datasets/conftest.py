"""A deployment whose predictions people and time have labelled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.feedback.authors import Author, author_of
from apps.feedback.datasets import services
from apps.feedback.datasets.models import DataSetExport
from apps.feedback.datasets.settings import DataSetSettings
from apps.feedback.datasets.writing import write_dataset
from apps.feedback.models import Evaluation
from apps.feedback.selectors import own_evaluation
from apps.feedback.services import (
    Given,
    Judgement,
    correct_evaluation,
    evaluate_prediction,
    record_actuals,
    withdraw_evaluation,
)
from apps.predictions.models import PredictionRecord
from tests.predictions.factories import prediction_of


@dataclass(frozen=True)
class Labels:
    """Says things of predictions; the model always says bad."""

    deployment: Deployment
    first: Author
    second: Author

    def predicted(self, custom_id: str | None = None, **case: Any) -> PredictionRecord:
        values = {"age": 41, "city": "Urk", "income": 2500.5} | case
        return prediction_of(self.deployment, cases=[values], custom_ids=[custom_id])

    def judged(
        self,
        record: PredictionRecord,
        verdict: str,
        desired: str | None = None,
        by: Author | None = None,
    ) -> None:
        judgement = Judgement(verdict, desired)
        author = by or self.first
        evaluate_prediction(prediction=record, judgement=judgement, by=author, now=timezone.now())

    def corrected(self, record: PredictionRecord, verdict: str, desired: str) -> None:
        correct_evaluation(
            evaluation=self._own(record),
            prediction=record,
            judgement=Judgement(verdict, desired),
            by=self.first,
            now=timezone.now(),
        )

    def withdrawn(self, record: PredictionRecord) -> None:
        withdraw_evaluation(
            evaluation=self._own(record), prediction=record, by=self.first, now=timezone.now()
        )

    def _own(self, record: PredictionRecord) -> Evaluation:
        found = own_evaluation(record, self.first)
        assert found is not None
        return found

    def turned_out(self, record: PredictionRecord, value: str) -> None:
        record_actuals(
            deployment=self.deployment,
            rows=[Given(value, prediction_id=record.id)],
            by=self.first,
            now=timezone.now(),
        )


@pytest.fixture
def labels(deployment: Deployment, reviewer: User, owner: User) -> Labels:
    return Labels(deployment, author_of(reviewer), author_of(owner))


@pytest.fixture
def make(
    deployment: Deployment, operator: User, settings: Any, tmp_path: Any
) -> Callable[..., Any]:
    """Asks for a data set and writes it at once."""
    settings.VAR_DIR = tmp_path

    def made(**wanted: Any) -> DataSetExport:
        dataset = services.ask_for_dataset(
            deployment=deployment,
            settings=DataSetSettings(**wanted),
            by=operator.actor,
            now=timezone.now(),
        )
        write_dataset(identifier=dataset.id, now=timezone.now())
        dataset.refresh_from_db()
        return dataset

    return made

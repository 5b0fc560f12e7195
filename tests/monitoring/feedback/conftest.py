"""A deployment whose predictions were judged, in a queue and outside."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewHour, ReviewQueue
from apps.feedback.services import Given, Judgement, evaluate_prediction, record_actuals
from apps.monitoring.models import Distribution
from apps.monitoring.sums import hour_of
from apps.predictions.models import PredictionRecord
from tests.predictions.conftest import deployment
from tests.predictions.factories import prediction_of

__all__ = ["deployment"]


@dataclass(frozen=True)
class Feedback:
    """Predicts, judges and reports. A good prediction has a chance of 0.1 to be bad."""

    deployment: Deployment

    def predicted(self, outcome: str = "bad") -> PredictionRecord:
        return prediction_of(self.deployment, p_bad=0.9 if outcome == "bad" else 0.1)

    def judged(
        self, record: PredictionRecord, verdict: str, by: User, desired: str | None = None
    ) -> Evaluation:
        return evaluate_prediction(
            prediction=record,
            judgement=Judgement(verdict, desired),
            by=author_of(by),
            now=timezone.now(),
        )

    def turned_out(self, record: PredictionRecord, value: str, by: User) -> None:
        row = Given(value, prediction_id=record.id)
        record_actuals(deployment=self.deployment, rows=[row], by=author_of(by), now=timezone.now())

    def counted(self, predictions: int, amounts: dict[str, int] | None = None) -> None:
        """What the rollup says of this hour."""
        Distribution.objects.create(
            deployment=self.deployment,
            revision=self.deployment.revisions.get(),
            at=hour_of(timezone.now()),
            predictions=predictions,
            amounts=amounts or {},
        )

    def queue(self, by: User, looked: int, name: str = "Audit", mode: str = "assisted") -> Any:
        queue = ReviewQueue.objects.create(
            deployment=self.deployment, name=name, mode=mode, created_by=by
        )
        ReviewHour.objects.create(queue=queue, at=hour_of(timezone.now()), looked=looked)
        return queue

    def answered(
        self,
        queue: ReviewQueue,
        record: PredictionRecord,
        verdict: str,
        by: User,
        *,
        probability: float = 1,
        waited: timedelta = timedelta(minutes=5),
        seeded: bool = False,
        **more: Any,
    ) -> Claim:
        now: datetime = timezone.now()
        case = ReviewCase.objects.create(
            queue=queue,
            prediction_id=record.id,
            at=now - waited,
            closed_at=now,
            state=ReviewCase.State.DONE,
            is_certain=probability == 1,
            probability=probability,
            slice_probability=probability,
            is_seeded=seeded,
            is_of_stream=not seeded,
        )
        return Claim.objects.create(
            case=case,
            reviewer=by,
            at=now,
            until=now,
            ended_at=now,
            state=Claim.State.ANSWERED,
            verdict=verdict,
            **more,
        )


@pytest.fixture
def feedback(deployment: Deployment) -> Feedback:
    return Feedback(deployment)

"""Coverage counts what was explained at once and later, each prediction once, from indexes."""

import json
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from apps.audit.actor import SYSTEM
from apps.deployments.models import Deployment
from apps.explanations import services
from apps.explanations.general import coverage_of
from apps.explanations.models import Explanation
from apps.monitoring.models import TrafficHour
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.explanations.told import told
from tests.predictions.factories import prediction_of


def explain_later(prediction: PredictionRecord, *names: str) -> None:
    assert prediction.revision is not None
    answers = [{"name": name, "method": "shap.linear"} for name in names]
    services.keep(prediction, prediction.revision, answers, SYSTEM, timezone.now())


def counted(deployment: Deployment) -> tuple[int, int]:
    found = coverage_of(deployment, period="day", now=timezone.now())
    return found.at_once, found.later


def test_each_prediction_counts_once(deployment: Deployment, plain_deployment: Deployment) -> None:
    later, both, other = (
        prediction_of(each) for each in (deployment, deployment, plain_deployment)
    )
    text = json.dumps([told("shap.tree")])
    PredictionRecord.objects.filter(id=both.id).update(explanations=text)
    explain_later(later, "shap", "lime")
    explain_later(later, "shap")
    explain_later(both, "lime")
    explain_later(other, "shap")
    prediction_of(deployment)
    assert counted(deployment) == (1, 1)


def test_what_was_erased_or_lies_before_the_period_is_not_counted(deployment: Deployment) -> None:
    erased, old = prediction_of(deployment), prediction_of(deployment)
    explain_later(erased, "shap")
    explain_later(old, "shap")
    now = timezone.now()
    predictions.erase_prediction(prediction=erased, reason="Asked for", by=SYSTEM, now=now)
    assert counted(deployment) == (0, 1)
    found = coverage_of(deployment, period="day", now=now + timedelta(days=2))
    assert found.explained == 0


def test_the_share_is_of_all_predictions(deployment: Deployment) -> None:
    explain_later(prediction_of(deployment), "shap")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    traffic = {"deployment_id": deployment.id, "revision_id": deployment.revisions.get().id}
    TrafficHour.objects.create(at=hour, predictions=4, **traffic)
    assert coverage_of(deployment, period="day", now=timezone.now()).share == 0.25


def test_later_ones_are_found_by_their_index(deployment: Deployment) -> None:
    found = Explanation.objects.filter(deployment=deployment, erased_at=None)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "explained_later" in found.values("prediction_id").explain()

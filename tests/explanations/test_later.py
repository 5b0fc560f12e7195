"""Explaining a prediction that is on the record: kept, bound by an event, erased with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid
from apps.deployments import services as deployments
from apps.deployments.explainers import NO_EXPLAINER, Explainer, Method
from apps.deployments.models import Component, Replica
from apps.explanations import services
from apps.explanations.commitment import fault
from apps.explanations.models import Explanation, ExplanationJob
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from apps.predictions.verification import verify_seals
from tests.deployments.test_api import Api
from tests.predictions.gateway.conftest import CASE, Served, serving

EXPLAINER = Explainer((Method("shap", "shap.linear"), Method("rule", "anchors")), seed=7)


@pytest.fixture
def explained(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Iterator[Served]:
    with serving(workspace, operator, tmp_path, explainer=EXPLAINER) as running:
        yield running


@pytest.fixture
def prediction(explained: Served) -> PredictionRecord:
    explained.predict({"instances": [CASE]})
    return PredictionRecord.objects.select_related("deployment", "revision").get()


def test_each_method_is_kept_with_an_event_that_binds_it(
    prediction: PredictionRecord, operator: User
) -> None:
    now = timezone.now()
    made = services.explain_prediction(prediction=prediction, by=operator.actor, now=now)
    assert [each.name for each in made] == ["shap", "rule"]
    kept = Explanation.objects.get(name="shap")
    assert kept.content["output"] == pytest.approx(prediction.output_value)
    assert (kept.content["seed"], kept.revision) == (7, prediction.revision)
    event = Event.objects.filter(name="explanation.made").earliest("number")
    assert bytes(kept.digest).hex() in (event.data or "")
    assert [fault(each) for each in Explanation.objects.all()] == [None, None]
    Explanation.objects.filter(id=kept.id).update(text=(kept.text or "").replace("7", "8"))
    kept.refresh_from_db()
    assert fault(kept) == "its content is not what was made"


def test_an_erasure_takes_it_and_leaves_the_digest(
    prediction: PredictionRecord, operator: User
) -> None:
    now = timezone.now()
    services.explain_prediction(prediction=prediction, by=operator.actor, now=now, names=["shap"])
    predictions.erase_prediction(
        prediction=prediction, reason="Asked for", by=operator.actor, now=now
    )
    kept = Explanation.objects.get()
    assert (kept.text, kept.salt, kept.content) == (None, None, {})
    assert fault(kept) is None
    assert list(verify_seals()) == []
    prediction.refresh_from_db()
    with pytest.raises(Conflict, match="was erased"):
        services.explain_prediction(prediction=prediction, by=operator.actor, now=now)


def test_a_model_that_answers_otherwise_is_not_explained(
    prediction: PredictionRecord, operator: User
) -> None:
    prediction.output = "[0.9,0.1]"
    with pytest.raises(Conflict, match="answers otherwise"):
        services.explain_prediction(
            prediction=prediction, by=operator.actor, now=timezone.now(), names=["shap"]
        )
    assert not Explanation.objects.exists()


def test_names_and_absences_are_told(
    explained: Served, prediction: PredictionRecord, operator: User
) -> None:
    given: dict[str, Any] = {"by": operator.actor, "now": timezone.now()}
    with pytest.raises(Invalid, match="no explainer lime here; there are shap, rule"):
        services.explain_prediction(prediction=prediction, names=["lime"], **given)
    replicas = Replica.objects.filter(component__kind=Component.Kind.EXPLAINER)
    replicas.update(state=Replica.State.STARTING)
    with pytest.raises(Conflict, match="not ready"):
        services.explain_prediction(prediction=prediction, **given)
    deployments.create_revision(
        deployment=explained.deployment, explainer=NO_EXPLAINER, by=operator
    )

    def switched() -> bool:
        explained.reconciler.tick(timezone.now())
        explained.deployment.refresh_from_db()
        active = explained.deployment.active_revision
        return active is not None and active.number == 2

    explained.wait_for(switched, seconds=40)
    later = PredictionRecord.objects.select_related("deployment", "revision").get()
    with pytest.raises(Conflict, match="r2 has no explainer"):
        services.explain_prediction(prediction=later, **given)


def test_a_job_is_done_once_and_says_how_it_ended(
    prediction: PredictionRecord, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(services, "async_task", lambda *given, **options: asked.append(given))
    now = timezone.now()
    job = services.ask_to_explain(prediction=prediction, by=operator.actor, now=now, names=["shap"])
    assert asked == [("apps.explanations.tasks.explain", str(job.id))]
    assert services.do_job(identifier=job.id, now=now) == "done"
    assert services.do_job(identifier=job.id, now=now) == "nothing to do"
    assert [each.by_name for each in Explanation.objects.all()] == [operator.name]
    lost = services.ask_to_explain(prediction=prediction, by=operator.actor, now=now)
    Replica.objects.update(state=Replica.State.STARTING)
    assert services.do_job(identifier=lost.id, now=now) == "failed"
    assert "not ready" in ExplanationJob.objects.get(id=lost.id).error


def test_the_api_explains_lists_and_follows_jobs(
    explained: Served, prediction: PredictionRecord, operator: User, outsider: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(services, "async_task", lambda *given, **options: None)
    api, home = Api(operator), explained.path.removesuffix("/predict")
    path = f"{home}/predictionLogs/{prediction.id}"
    status, made = api.call("POST", f"{path}/explain", {"explainers": ["shap"]})
    assert (status, made[0]["name"], made[0]["intact"]) == (201, "shap", True)
    status, job = api.call("POST", f"{path}/explain", {"async": True})
    assert (status, job["state"], job["explainers"]) == (202, "waiting", ["shap", "rule"])
    assert api.call("GET", f"{home}/explainJobs/{job['jobId']}")[1]["state"] == "waiting"
    _, found = api.call("GET", f"{path}/explanations")
    assert [(each["name"], each["recordedWithPrediction"]) for each in found] == [("shap", False)]
    status, body = api.call("POST", f"{path}/explain", {"explainers": ["x"]})
    assert (status, "there are shap, rule" in body["message"]) == (400, True)
    assert Api(outsider).call("GET", f"{path}/explanations")[0] == 404
    header = {
        "Authorization": f"Bearer {explained.text}",
        "Content-Type": "application/json",
    }
    answer = explained.server.request("POST", f"{path}/explain", {"explainers": ["rule"]}, header)
    assert answer[0] == 201
    explained.token.scopes = ["predict"]
    explained.token.save()
    assert explained.server.request("POST", f"{path}/explain", {}, header)[0] == 403


def test_an_auditor_reads_and_does_not_ask(
    explained: Served, prediction: PredictionRecord, auditor: User
) -> None:
    api = Api(auditor)
    path = f"{explained.path.removesuffix('/predict')}/predictionLogs/{prediction.id}"
    assert api.call("GET", f"{path}/explanations") == (200, [])
    assert api.call("POST", f"{path}/explain", {})[0] == 403


def test_what_was_recorded_with_the_prediction_is_listed_too(
    explained: Served, operator: User
) -> None:
    path = explained.path.replace("/predict", "/explain?explainer=shap")
    _, body, _ = explained.predict({"instances": [CASE]}, path)
    log = f"{explained.path.removesuffix('/predict')}/predictionLogs/{body['predictionLogIds'][0]}"
    _, found = Api(operator).call("GET", f"{log}/explanations")
    assert [(each["name"], each["recordedWithPrediction"]) for each in found] == [("shap", True)]
    _, shown = Api(operator).call("GET", log)
    assert shown["explanations"][0]["method"] == "shap.linear"

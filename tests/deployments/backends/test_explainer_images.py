"""Explainers that are images, on a real engine: run, checked, answered, recorded, shown."""

from collections.abc import Callable
from typing import Any

import docker
import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.deployments.explainers import Explainer
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.deployments.run_settings import RunSettings
from apps.deployments.variables import create_variable
from apps.predictions.models import PredictionRecord
from apps.predictions.verification import verify_seals
from tests.deployments.backends import engine as engines
from tests.deployments.backends.custom import Deploy, settled
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
Prepared = Callable[[str], None]
CASE = {"a": 1.0, "b": 3.0}
SMALL = RunSettings(memory_mb=256)


def explained(deployment: Deployment, by: User, query: str = "") -> tuple[int, Any]:
    workspace = deployment.workspace
    _, token = accounts.issue_token(
        workspace=workspace, deployment_id=deployment.id, deployment_name=deployment.name,
        name="t", scopes=["explain"], by=by,
    )  # fmt: skip
    path = f"/workspaces/{workspace.slug}/deployments/{deployment.slug}/explain{query}"
    server = LiveServer().start()
    try:
        headers = {"Authorization": f"Bearer {token}"}
        status, body, _ = server.request("POST", path, {"instances": [CASE]}, headers)
    finally:
        server.stop()
    return status, body


def deployed(
    deploy: Deploy,
    engine: docker.DockerClient,
    reconciler: Reconciler,
    backend: str = "docker",
    **given: Any,
) -> tuple[Deployment, Revision]:
    image = engines.build_fixture(engine, "explainer")
    explainer = Explainer(image=image, readiness_path="/ready", run=SMALL, **given)
    model = engines.build_fixture(engine, "v1")
    deployment = deploy(model, backend=backend, explainer=explainer)
    return deployment, settled(reconciler, deployment)


@pytest.mark.parametrize("backend", ["docker", "swarm"])
def test_an_image_explains_a_model_that_is_an_image(
    deploy: Deploy,
    engine: docker.DockerClient,
    prepared: Prepared,
    reconciler: Reconciler,
    operator: User,
    client_for: Any,
    backend: str,
) -> None:
    prepared(backend)
    deployment, revision = deployed(deploy, engine, reconciler, backend)
    assert revision.state == Revision.State.ACTIVE, f"{revision.error}\n{revision.error_log}"
    component = Component.objects.get(kind=Component.Kind.EXPLAINER)
    assert component.config["digest"].startswith("sha256:")
    status, body = explained(deployment, operator)
    assert status == 200, body
    [entry] = body["explanations"][0]["explainers"]
    assert (entry["name"], entry["method"]) == ("custom", "custom")
    assert entry["said"] == {"shap_values": [1.0, 3.0], "note": "by hand"}
    record = PredictionRecord.objects.get()
    assert record.explanation_values == [entry]
    assert list(verify_seals()) == []
    address = f"/w/{deployment.workspace.slug}/predictions/{record.id}/explanations/"
    page = client_for(operator).get(address).content.decode()
    assert "shap_values · a" in page
    assert "by hand" in page


@pytest.mark.parametrize("backend", ["docker", "swarm"])
def test_arguments_and_variables_reach_it_and_a_known_shape_is_drawn(
    deploy: Deploy,
    engine: docker.DockerClient,
    prepared: Prepared,
    reconciler: Reconciler,
    operator: User,
    client_for: Any,
    workspace: Any,
    backend: str,
) -> None:
    prepared(backend)
    variable = create_variable(
        workspace=workspace, name="Scale", key="SCALE", value="2", by=operator
    )
    deployment, revision = deployed(
        deploy,
        engine,
        reconciler,
        backend,
        args=("contributions",),
        variable_ids=(str(variable.id),),
    )
    assert revision.state == Revision.State.ACTIVE, f"{revision.error}\n{revision.error_log}"
    status, picture = explained(deployment, operator, "?image=true")
    assert (status, picture[:4]) == (200, b"\x89PNG")
    record = PredictionRecord.objects.get()
    [entry] = record.explanation_values
    assert [(p["feature"], p["value"], p["contribution"]) for p in entry["contributions"]] == [
        ("a", 1.0, 2.0), ("b", 3.0, 6.0),
    ]  # fmt: skip
    address = f"/w/{workspace.slug}/predictions/{record.id}/explanations/"
    client: Client = client_for(operator)
    assert "pushes up" in client.get(address).content.decode()


@pytest.mark.parametrize(
    ("shape", "words"),
    [("too_few", "one object for each of 1 instances"), ("text", "must be an object, not a str")],
)
def test_answers_that_are_none_fail_the_revision_in_words(
    deploy: Deploy, engine: docker.DockerClient, reconciler: Reconciler, shape: str, words: str
) -> None:
    _, revision = deployed(deploy, engine, reconciler, args=(shape,))
    assert revision.state == Revision.State.FAILED
    assert words in revision.error
    assert not Replica.objects.filter(state=Replica.State.READY).exists()


def test_an_image_that_does_not_explain_fails_its_revision_in_words(
    deploy: Deploy, engine: docker.DockerClient, reconciler: Reconciler
) -> None:
    image = engines.build_fixture(engine, "v1")
    deployment = deploy(image, explainer=Explainer(image=image, run=SMALL))
    revision = settled(reconciler, deployment)
    assert revision.state == Revision.State.FAILED
    assert "does not answer POST /v1/models/model:explain" in revision.error

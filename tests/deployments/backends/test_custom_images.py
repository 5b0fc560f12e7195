"""Custom images: from a version without a file to recorded predictions, or to words for why not."""

from collections.abc import Callable
from typing import Any

import docker
import pytest
from django.conf import settings
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Invalid
from apps.deployments import model_client, services, variables
from apps.deployments.backends import backend_named
from apps.deployments.models import (
    Component,
    Deployment,
    EnvironmentVariable,
    Replica,
    Revision,
)
from apps.deployments.reconcile import Reconciler
from apps.predictions.models import PredictionRecord
from tests.deployments.backends import engine as engines
from tests.deployments.backends.custom import Deploy, settled, version_of
from tests.deployments.test_api import Api
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    ("name", "protocol", "output"),
    [("v1", "v1", 5.0), ("v2", "v2", [0.25, 0.75])],
)
def test_an_image_that_speaks_v1_or_v2_answers_through_the_gateway(
    deploy: Deploy,
    reconciler: Reconciler,
    engine: docker.DockerClient,
    operator: User,
    name: str,
    protocol: str,
    output: Any,
) -> None:
    deployment = deploy(engines.build_fixture(engine, name))
    revision = settled(reconciler, deployment)
    assert revision.state == Revision.State.ACTIVE, revision.error
    component = Component.objects.get(revision=revision)
    assert component.signature["protocol"] == protocol
    assert component.config["digest"].startswith("sha256:")
    workspace = deployment.workspace
    _, token = accounts.issue_token(
        workspace=workspace, deployment_id=deployment.id, deployment_name=deployment.name,
        name="t", scopes=["predict"], by=operator,
    )  # fmt: skip
    server = LiveServer().start()
    try:
        path = f"/workspaces/{workspace.slug}/deployments/{deployment.slug}/predict"
        body = {"instances": [{"a": 1.0, "b": 3.0}, {"a": 1.0, "b": 3.0}]}
        status, answer, _ = server.request("POST", path, body, {"Authorization": f"Bearer {token}"})
    finally:
        server.stop()
    assert (status, answer["predictions"]) == (200, [output, output])
    assert PredictionRecord.objects.filter(deployment_id=deployment.id).count() == 2


SECRET = "g00d day"


@pytest.fixture
def variable(workspace: Workspace, operator: User) -> EnvironmentVariable:
    return variables.create_variable(
        workspace=workspace, name="Greeting", key="GREETING", value=SECRET, by=operator
    )


@pytest.mark.parametrize("backend", ["docker", "swarm"])
def test_a_container_gets_its_arguments_and_variables(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient,
    prepared: Callable[[str], None], variable: EnvironmentVariable, backend: str,
) -> None:  # fmt: skip
    prepared(backend)
    config = {"args": ["--size", "2"], "variableIds": [str(variable.id)]}
    deployment = deploy(engines.build_fixture(engine, "v1"), config, backend=backend)
    revision = settled(reconciler, deployment)
    assert revision.state == Revision.State.ACTIVE, revision.error
    replica = Replica.objects.get(state=Replica.State.READY)
    _, body = model_client.get(replica.address, "/started-with")
    assert body == {"args": ["--size", "2"], "greeting": SECRET}


def test_a_service_has_its_variables_as_secrets_alone(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient,
    prepared: Callable[[str], None], variable: EnvironmentVariable,
) -> None:  # fmt: skip
    prepared("swarm")
    config = {"variableIds": [str(variable.id)]}
    deployment = deploy(engines.build_fixture(engine, "v1"), config, backend="swarm")
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    name = Replica.objects.get(state=Replica.State.READY).handle["service"]
    assert SECRET not in str(engine.api.inspect_service(name))
    assert SECRET not in str(engine.api.tasks(filters={"service": name}))
    secrets = engine.secrets.list(filters={"name": name})
    assert len(secrets) == 1
    assert SECRET not in str(secrets[0].attrs)


PAGES = ("", "progress/", "revisions/", "revisions/new/", "settings/", "log/")


def test_no_page_answer_event_or_row_shows_a_variable(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient, operator: User,
    variable: EnvironmentVariable, client_for: Any,
) -> None:  # fmt: skip
    config = {"variableIds": [str(variable.id)]}
    deployment = deploy(engines.build_fixture(engine, "v1"), config)
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    workspace, browser, api = deployment.workspace, client_for(operator), Api(operator)
    home, base = f"/w/{workspace.slug}", f"/workspaces/{workspace.id}"
    own = f"{home}/deployments/{deployment.slug}/"
    pages = [*(f"{own}{page}" for page in PAGES), f"{home}/settings/variables/"]
    paths = [f"deployments/{deployment.id}", f"deployments/{deployment.id}/revisions",
             f"deployments/{deployment.id}/log", "environmentVariables",
             "environmentVariables/raw"]  # fmt: skip
    answers = [(seen.status_code, seen.content) for seen in map(browser.get, pages)]
    answers += [api.call("GET", f"{base}/{path}") for path in paths]
    assert {status for status, _ in answers} == {200}
    rows = [list(model.objects.values()) for model in (Event, Deployment, Revision, Component,
                                                       Replica, EnvironmentVariable)]  # fmt: skip
    assert SECRET not in f"{answers} {rows}"
    assert str(answers).count("GREETING") > 1


def test_a_container_of_an_image_has_no_network_and_publishes_nothing(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient
) -> None:
    deployment = deploy(engines.build_fixture(engine, "v1"))
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    handle = Replica.objects.get(state=Replica.State.READY).handle
    container = engine.containers.get(handle["name"])
    host = container.attrs["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert container.ports == {}
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert container.attrs["Config"]["User"] not in ("", "0", "root")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("127.0.0.1:9/no/such:image", "cannot be pulled"),
        ("never_ready", "not ready within 5 seconds"),
        ("speechless", "answers neither"),
    ],
)
def test_an_image_that_cannot_serve_fails_with_its_cause_and_the_old_one_serves_on(
    deploy: Deploy,
    reconciler: Reconciler,
    engine: docker.DockerClient,
    operator: User,
    image: str,
    words: str,
) -> None:
    deployment = deploy(engines.build_fixture(engine, "v1"))
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    reference = image if "/" in image else engines.build_fixture(engine, image)
    services.create_revision(
        deployment=deployment,
        model_version=version_of(deployment.workspace, operator, reference),
        run=services.RunSettings(memory_mb=256, load_timeout_seconds=5),
        by=operator,
    )
    failed = settled(reconciler, deployment)
    assert failed.state == Revision.State.FAILED
    assert words in failed.error
    deployment.refresh_from_db()
    assert deployment.active_revision is not None
    assert deployment.active_revision.number == 1
    replica = Replica.objects.get(state=Replica.State.READY)
    assert model_client.get(replica.address, "/v1/models")[0] == 200


def test_an_image_is_refused_on_the_process_backend(workspace: Workspace, operator: User) -> None:
    with pytest.raises(Invalid, match="docker or swarm"):
        services.create_deployment(
            workspace=workspace,
            name="Bring your own",
            model_version=version_of(workspace, operator, "any"),
            by=operator,
            backend="process",
        )


def test_nothing_of_a_stopped_deployment_is_left_in_the_engine(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient, operator: User
) -> None:
    deployment = deploy(engines.build_fixture(engine, "v1"))
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    services.set_desired(deployment=deployment, desired="stopped", by=operator.actor)
    reconciler.tick(timezone.now())
    reconciler.replicas.stopping.shutdown(wait=True)
    mine = {"label": f"deeploy.installation={settings.INSTALLATION_ID}"}
    assert engine.containers.list(all=True, filters=mine) == []
    assert backend_named("docker").orphans([]) == []

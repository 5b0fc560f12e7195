"""Choosing what runs a revision: what is offered, what is kept, what the pages say."""

from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.test import Client
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import services
from apps.deployments.backends.offers import offered
from apps.deployments.forms import RevisionForm
from apps.deployments.models import Deployment
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.deployments.backends import engine as engines

PAGE = "/w/retail-credit/deployments/credit-risk/"
RUN = {"min_replicas": 1, "memory_mb": 512, "threads": 1, "load_timeout_seconds": 60}


@pytest.fixture
def deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=upload, by=operator)
    return services.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )


@pytest.fixture
def client(operator: User, client_for: Any) -> Client:
    return client_for(operator)


@pytest.fixture
def without_engine(settings: Any, tmp_path: Path) -> None:
    settings.DOCKER_HOST = f"unix://{tmp_path}/nobody.sock"


def test_without_an_engine_processes_are_offered_and_the_reason_is_said(
    without_engine: None,
) -> None:
    offer = offered()
    assert offer.choices == [("process", "Process")]
    assert "does not answer" in offer.missing


def test_what_is_in_use_stays_a_choice_while_its_engine_is_away(without_engine: None) -> None:
    assert ("docker", "Container") in offered(kept="docker").choices


@pytest.mark.slow
def test_an_engine_offers_containers() -> None:
    engines.client().close()
    assert ("docker", "Container") in offered().choices


def test_the_form_says_why_containers_are_missing(
    client: Client, deployment: Deployment, without_engine: None
) -> None:
    page = client.get(f"{PAGE}revisions/new/").content.decode()
    assert "Runs as" in page
    assert "Containers are not offered now." in page


def test_what_is_not_offered_is_refused_and_nothing_typed_is_lost(
    client: Client, deployment: Deployment, without_engine: None
) -> None:
    version = services.model_of(deployment.revisions.get())
    body = RUN | {"version": version.id, "backend": "docker", "note": "Into a container"}
    answer = client.post(f"{PAGE}revisions/new/", body)
    assert answer.status_code == 400
    assert "Into a container" in answer.content.decode()
    assert deployment.revisions.count() == 1


def test_a_new_revision_keeps_the_backend_of_the_last(
    client: Client, deployment: Deployment, operator: User, without_engine: None
) -> None:
    services.create_revision(deployment=deployment, by=operator, backend="docker")
    form = RevisionForm(deployment.workspace, initial={"backend": "docker"})
    assert form["backend"].value() == "docker"
    version = services.model_of(deployment.revisions.latest("number"))
    body = RUN | {"version": version.id, "backend": "docker"}
    assert client.post(f"{PAGE}revisions/new/", body).status_code == 302
    assert deployment.revisions.latest("number").backend == "docker"


def test_revisions_on_different_backends_differ(
    client: Client, deployment: Deployment, operator: User
) -> None:
    services.create_revision(deployment=deployment, by=operator, backend="docker")
    page = client.get(f"{PAGE}revisions/?from=1&to=2").content.decode()
    assert "Runs as" in page
    assert "Container" in page

"""Deployments whose model the official client names by repository or by reference."""

import json
from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.test import Client
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments.models import Deployment
from apps.registry.imports.services import create_repository
from apps.registry.models import Import
from apps.registry.tasks import perform_import
from tests.registry.sources.servers import GitTree, git_backend, http, send

pytestmark = pytest.mark.django_db
HERE = "/workspaces/retail-credit/deployments"


@pytest.fixture
def client(operator: User, client_for: Any, settings: Any) -> Client:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    return client_for(operator)


@pytest.fixture
def artifact(tmp_path: Path) -> bytes:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    return (tmp_path / "m.skops").read_bytes()


def post(client: Client, **body: Any) -> Any:
    return client.post(HERE, body, content_type="application/json")


def test_a_deployment_from_a_repository_waits_and_is_revised(
    client: Client, workspace: Workspace, operator: User, tmp_path: Path, artifact: bytes
) -> None:
    tree = GitTree(tmp_path / "git")
    tree.write("risk/model/model.skops", artifact)
    commit = tree.commit()
    with http(git_backend(tree.bare.parent)) as url:
        repository = create_repository(
            workspace=workspace, name="Models", url=f"{url}/models.git", by=operator
        )
        made = post(
            client,
            name="Risk",
            deploymentType="KServe",
            modelType=2,
            repositoryId=str(repository.id),
            branchName="main",
            contractPath="risk",
            modelMinReplicas=1,
        )
        assert made.status_code == 201, made.json()
        assert made.json()["state"] == "Waiting for its import"
        assert client.get("/w/retail-credit/deployments/").status_code == 200
        perform_import(str(Import.objects.get().id))

    revision = Deployment.objects.get().revisions.get()
    version = revision.components.get().model_version
    assert version is not None
    assert (version.model.name, version.source["commit"]) == ("Risk", commit)


def test_a_reference_in_the_body_is_imported_and_a_failure_shows(
    client: Client, artifact: bytes
) -> None:
    with http(lambda handler: send(handler, artifact)) as url:
        reference = {
            "schemaVersion": "2.0.0",
            "reference": {"blob": {"url": f"{url}/risk.skops"}},
        }
        made = post(client, name="Risk", modelType=2, modelReference=reference)
        assert made.status_code == 201, made.json()
        perform_import(str(Import.objects.get().id))
        assert Deployment.objects.get().revisions.count() == 1
    gone = json.loads(json.dumps(reference).replace("risk.skops", "gone.skops"))
    other = post(client, name="Other", modelType=2, modelReference=gone).json()
    job = Import.objects.exclude(version__isnull=False).get()
    perform_import(str(job.id))
    shown = client.get(f"{HERE}/{other['id']}").json()
    assert shown["state"] == "Import failed"
    assert "does not answer" in shown["errorDetails"][0]["message"]
    progress = client.get("/w/retail-credit/deployments/other/", follow=True)
    assert "does not answer" in progress.content.decode()


def test_a_reference_that_is_not_offered_is_refused_and_leaves_nothing(client: Client) -> None:
    reference = {"reference": {"azureML": {"model": {"name": "m"}}}}

    answer = post(client, name="Risk", modelType=2, modelReference=reference)

    assert answer.status_code == 400
    assert "Azure Machine Learning" in answer.json()["message"]
    assert not Deployment.objects.exists()


def test_an_update_says_that_the_version_has_to_be_imported_first(
    client: Client, artifact: bytes
) -> None:
    with http(lambda handler: send(handler, artifact)) as url:
        reference = {"reference": {"blob": {"url": f"{url}/risk.skops"}}}
        post(client, name="Risk", modelType=2, modelReference=reference)
        perform_import(str(Import.objects.get().id))
    body = {"modelReference": reference}

    answer = client.patch(f"{HERE}/risk", body, content_type="application/json")

    assert answer.status_code == 400
    assert "import it with POST versions" in answer.json()["message"]
    assert Deployment.objects.get().revisions.count() == 1

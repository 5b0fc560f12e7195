"""Deployments of every kind, made by the official client and then imported by the worker."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments.models import Component, Deployment, Revision
from apps.registry.imports.services import create_repository
from apps.registry.models import Import
from apps.registry.tasks import perform_import
from tests.contracts.client_venv import CLIENT
from tests.contracts.conftest import python_or_skip, run_script
from tests.live import LiveServer
from tests.registry.sources.servers import GitTree, git_backend, http, send

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
HERE = Path(__file__).parent


@dataclass
class Driven:
    """What the client printed, and what is needed to call it again."""

    python: Path
    given: dict[str, Any]
    got: dict[str, Any]
    commit: str

    def again(self, script: str, **more: Any) -> Any:
        return json.loads(run_script(self.python, HERE / script, json.dumps(self.given | more)))

    def revision(self, name: str) -> Revision:
        """The first revision, once the worker has imported its model."""
        identifier = self.got["deployments"][name]["id"]
        job = Import.objects.get(options__deployment__id=identifier)
        perform_import(str(job.id))
        job.refresh_from_db()
        assert job.state == "done", job.error
        return Deployment.objects.get(pk=identifier).revisions.get()


@pytest.fixture
def driven(workspace: Workspace, operator: User, tmp_path: Path, settings: Any) -> Iterator[Driven]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    python = python_or_skip(CLIENT)
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    content = (tmp_path / "m.skops").read_bytes()
    tree = GitTree(tmp_path / "git")
    tree.write("risk/model/model.skops", content)
    commit = tree.commit()
    tree.write("risk/README.md", b"later")
    tree.commit()
    pair, secret = accounts.create_key_pair(user=operator, name="client")
    server = LiveServer(OUTBOUND_ALLOW="127.0.0.0/8")
    with (
        http(git_backend(tree.bare.parent)) as git,
        http(lambda handler: send(handler, content)) as blob,
    ):
        create_repository(workspace=workspace, name="Models", url=f"{git}/models.git", by=operator)
        given = {
            "base": f"http://127.0.0.1:{server.start().port}",
            "workspace": str(workspace.id),
            "accessKey": pair.access_key,
            "secretKey": secret,
            "blob": f"{blob}/risk.skops",
            "commit": commit,
            "endpoint": f"{blob}/predict",
        }
        try:
            script = HERE / "drive_client_deployments.py"
            got = json.loads(run_script(python, script, json.dumps(given)))
            yield Driven(python, given, got, commit)
        finally:
            server.stop()


def test_the_client_deploys_from_git_blob_and_docker(driven: Driven) -> None:
    got = driven.got
    assert [each["name"] for each in got["repositories"]] == ["Models"]
    assert {each["state"] for each in got["deployments"].values()} == {"Waiting for its import"}

    from_git = driven.revision("git").components.get().model_version
    assert from_git is not None
    assert from_git.source["commit"] == driven.commit
    blob = driven.revision("blob").components.get().model_version
    assert blob is not None
    assert (blob.model_card, blob.metadata["features"][0]["name"]) == ("# Risk", "x")

    revision = driven.revision("docker")
    parts = {each.kind: each for each in revision.components.all()}
    model, transformer = parts[Component.Kind.MODEL], parts[Component.Kind.TRANSFORMER]
    assert model.model_version is not None
    assert model.model_version.source["image"] == "registry.example/risk:1"
    assert model.config["args"] == ["--verbose"]
    assert revision.backend == "docker"
    assert (transformer.config["image"], transformer.config["port"]) == (
        "registry.example/units:1", 9001,
    )  # fmt: skip
    assert transformer.config["args"] == ["--metric"]
    assert transformer.config["run"]["min_replicas"] == 2
    assert transformer.config["run"]["memory_mb"] == 300

    identifier = got["variable"]["id"]
    assert got["variable"]["value_encrypted"] == []
    assert [each["key"] for each in got["variables"]] == ["REGION"]
    assert got["idsWhileItWaits"] == []
    ids = driven.again("drive_client_variables.py", deployment=got["deployments"]["docker"]["id"])
    assert ids == {"model": [identifier], "transformer": [identifier], "explainer": []}


def test_the_client_connects_an_endpoint_and_registers_an_entry(driven: Driven) -> None:
    external, entry = driven.got["external"], driven.got["entry"]
    endpoint = external["last_version"]["endpoint"]

    assert endpoint["authentication"] == "custom"
    assert "a secret" not in json.dumps(external)
    assert Deployment.objects.get(pk=external["id"]).kind == "external"
    assert Deployment.objects.get(pk=entry["id"]).active_revision is not None


def test_the_client_hears_what_is_not_offered(driven: Driven) -> None:
    assert "when the model has been imported" in driven.got["explainer"]
    assert "Temporary credentials" in driven.got["temporary"]
    assert "which model version" in driven.got["nothing"]
    assert not Deployment.objects.filter(name__in=["E", "T", "N"]).exists()

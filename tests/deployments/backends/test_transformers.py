"""Transformers on the container backends: somebody's image, and a module in our own server."""

import json
from collections.abc import Callable

import docker
import pytest

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.deployments.run_settings import RunSettings
from apps.deployments.transformer_files import take_module
from apps.deployments.transformers import Transformer
from apps.predictions.models import PredictionRecord
from apps.registry.services import Upload
from tests.deployments.backends import engine as engines
from tests.deployments.backends.custom import Deploy, settled
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

RAW = {"cents": 100, "b": 3.0}
METADATA = {
    "features": [{"name": "cents", "type": "integer"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [RAW]},
}
SMALL = RunSettings(memory_mb=256)
MODULE = b"""
def preprocess(instances):
    return [{"a": row["cents"] / 100, "b": row["b"]} for row in instances]


def postprocess(predictions):
    return [{"points": value} for value in predictions]
"""

Prepared = Callable[[str], None]


def answer_of(deployment: Deployment, by: User) -> tuple[int, object]:
    """The gateway's answer for the raw input."""
    workspace = deployment.workspace
    _, token = accounts.issue_token(
        workspace=workspace, deployment_id=deployment.id, deployment_name=deployment.name,
        name="t", scopes=["predict"], by=by,
    )  # fmt: skip
    path = f"/workspaces/{workspace.slug}/deployments/{deployment.slug}/predict"
    server = LiveServer().start()
    try:
        headers = {"Authorization": f"Bearer {token}"}
        status, body, _ = server.request("POST", path, {"instances": [RAW]}, headers)
    finally:
        server.stop()
    return status, body["predictions"]


def assert_transforms(deployment: Deployment, reconciler: Reconciler, by: User) -> None:
    """The raw input reaches the model transformed, the output comes back so, both recorded."""
    revision = settled(reconciler, deployment)
    assert revision.state == Revision.State.ACTIVE, f"{revision.error}\n{revision.error_log}"
    assert answer_of(deployment, by) == (200, [{"points": 5.0}])
    record = PredictionRecord.objects.get()
    assert json.loads(record.input or "") == RAW
    assert json.loads(record.model_input or "") == {"a": 1.0, "b": 3.0}
    assert json.loads(record.model_output or "") == 5.0


@pytest.mark.parametrize("backend", ["docker", "swarm"])
def test_an_image_transforms_on(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient, prepared: Prepared,
    operator: User, backend: str,
) -> None:  # fmt: skip
    prepared(backend)
    image = engines.build_fixture(engine, "transformer")
    given = Transformer(
        image=image, args=("points",), readiness_path="/ready", metadata=METADATA, run=SMALL
    )
    deployment = deploy(engines.build_fixture(engine, "v1"), backend=backend, transformer=given)
    assert_transforms(deployment, reconciler, operator)
    component = Component.objects.get(kind=Component.Kind.TRANSFORMER)
    assert component.signature == {"steps": ["preprocess", "postprocess"]}
    assert component.config["digest"].startswith("sha256:")


@pytest.mark.parametrize("backend", ["docker", "swarm"])
def test_a_module_transforms_on(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient, prepared: Prepared,
    workspace: Workspace, operator: User, backend: str,
) -> None:  # fmt: skip
    prepared(backend)
    module = take_module(workspace, Upload("units.py", [MODULE]))
    given = Transformer(artifact=module, reason="Read by two", metadata=METADATA, run=SMALL)
    deployment = deploy(engines.build_fixture(engine, "v1"), backend=backend, transformer=given)
    assert_transforms(deployment, reconciler, operator)


def test_an_image_that_has_neither_step_fails_its_revision_in_words(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient
) -> None:
    image = engines.build_fixture(engine, "v1")
    deployment = deploy(image, transformer=Transformer(image=image, metadata=METADATA, run=SMALL))
    revision = settled(reconciler, deployment)
    assert revision.state == Revision.State.FAILED
    assert "answers neither" in revision.error
    assert not Replica.objects.filter(state=Replica.State.READY).exists()

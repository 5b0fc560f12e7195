"""Triton's own Python client against image classifiers of PyTorch and TensorFlow."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from tests.contracts.client_venv import TRITON
from tests.contracts.conftest import python_or_skip, run_script
from tests.deployments.kept import ANSWERS, added, deployed, run
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
SCRIPT = Path(__file__).with_name("drive_triton.py")


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


def driven(given: dict[str, Any]) -> Any:
    """What the client got from a web process that starts now, when the routes are known."""
    python, server = python_or_skip(TRITON), LiveServer()
    try:
        url = f"127.0.0.1:{server.start().port}"
        return json.loads(run_script(python, SCRIPT, json.dumps(given | {"url": url})))
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["digits.pt", "digits.pt2", "digits.keras", "digits.onnx"])
def test_images_of_digits(
    name: str, workspace: Workspace, owner: User, reconciler: Reconciler
) -> None:
    version = added(name, workspace, owner)
    if version.is_blocked:
        registry.override_scan(version=version, reason="We wrote it.", by=owner)
    deployment = deployed(version, owner)
    revision = run(reconciler, deployment, "active")
    _, token = accounts.issue_token(
        workspace=workspace, deployment_id=deployment.id, deployment_name=deployment.name,
        name="Triton", scopes=["predict"], by=owner,
    )  # fmt: skip
    signature = revision.components.get().signature
    entry, output = signature["inputs"][0], signature["outputs"][0]["name"]
    assert entry["datatype"] == "FP32"
    given = {
        "token": token,
        "model": deployment.slug,
        "inputs": {entry["name"]: {"datatype": "FP32", "data": ANSWERS[name]["instances"]}},
        "outputs": [output],
    }
    got = driven(given)
    for way in ("bytes", "json", "mixed", "gzip", "everything"):
        np.testing.assert_allclose(
            got["answers"][way][output], ANSWERS[name]["expected"], rtol=0, atol=1e-6
        )
    assert got["model"]["outputs"][0]["shape"][0] == -1

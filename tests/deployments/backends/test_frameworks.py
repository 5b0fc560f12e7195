"""The kept artifact of every framework, served locked in, answers what its own library answers."""

import json
import os
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest
from django.conf import settings

from apps.core.ids import uuid7
from apps.deployments import model_client
from apps.deployments.backends.base import Backend, ReplicaSpec
from apps.deployments.backends.docker import DockerBackend
from apps.deployments.backends.images import ImageBuilder, Packages, _environment_tag
from apps.deployments.backends.process import ProcessBackend
from apps.deployments.backends.swarm import SwarmBackend
from apps.deployments.environments import lists
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.outcome import BuildFailed
from apps.registry import archives, storage
from apps.serving.spec import ServerSpec
from tests.deployments.backends import engine as engines
from tests.deployments.backends.contract import is_ready, wait_for
from tests.serving.environments import interpreter

pytestmark = pytest.mark.slow

KEPT = Path(settings.BASE_DIR) / "fixtures" / "artifacts"
ANSWERS: dict[str, dict[str, Any]] = json.loads((KEPT / "answers.json").read_text())
MEMORY = 3 * 1024**3


def replica_of(name: str, environment: str) -> ReplicaSpec:
    """A replica of a kept artifact, stored and unpacked as an upload is."""
    kept = ANSWERS[name]
    stored = storage.store([(KEPT / name).read_bytes()])
    server = ServerSpec(
        model_client.MODEL_NAME,
        kept["framework"],
        kept["format"],
        str(archives.place_of(stored.sha256, kept["format"])),
        kept["metadata"],
    )
    return ReplicaSpec(uuid7(), server, MEMORY, environment=environment)


def assert_serves(backend: Backend, spec: ReplicaSpec, name: str) -> None:
    """Starts the replica, asks it what was asked of the library, and ends it."""
    kept, handle = ANSWERS[name], backend.start(spec)
    try:
        wait_for(backend, handle, lambda: is_ready(backend, handle))
        found = model_client.predict(backend.address(handle), kept["instances"])
        np.testing.assert_allclose(found, kept["expected"], rtol=0, atol=1e-6)
    finally:
        backend.stop(handle, grace_seconds=5)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_process_serves_it(name: str) -> None:
    environment = interpreter(ANSWERS[name]["framework"]).parent.parent
    assert_serves(ProcessBackend(), replica_of(name, str(environment)), name)


@pytest.fixture
def torch_image(engine: docker.DockerClient, settings: Any) -> str:
    """The image of PyTorch's environment. A wheel for processors that this machine's own pip
    finds in a folder is taken from there: the one of the index brings gigabytes for CUDA."""
    folder = os.environ.get("PIP_FIND_LINKS", "")
    if folder and list(Path(folder).glob("torch-*.whl")):
        settings.PACKAGE_WHEELS = folder
        settings.PACKAGE_INDEX_URL = settings.PACKAGE_INDEX_URL or "https://pypi.org/simple"
    builder, requirements = ImageBuilder(), lists.canonical(lists.pins_of("pytorch"))
    packages = Packages(lists.digest_of(lists.PYTHON, requirements), requirements)
    location = _environment_tag(packages)
    if builder.exists(location):
        return location
    with BuildLog(settings.VAR_DIR / "torch.log") as log:
        try:
            return builder.build(packages, log, lambda: False).location
        except BuildFailed as error:
            pytest.fail(f"{error}\n{log.path.read_text()[-4000:]}")


PYTORCH = ("digits.pt", "digits-state-dict.zip")


@pytest.mark.parametrize("name", PYTORCH)
def test_a_container_serves_pytorch(name: str, torch_image: str) -> None:
    assert_serves(DockerBackend(), replica_of(name, torch_image), name)


@pytest.mark.parametrize("name", PYTORCH)
def test_a_service_serves_pytorch(name: str, torch_image: str, engine: docker.DockerClient) -> None:
    with engines.swarm(engine):
        assert_serves(SwarmBackend(), replica_of(name, torch_image), name)

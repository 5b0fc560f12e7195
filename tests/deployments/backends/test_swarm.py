"""The swarm backend keeps the contract, on a swarm of one node that is left as it was found."""

from collections.abc import Iterator
from uuid import uuid4

import docker
import pytest
from django.conf import settings
from docker.types import ServiceMode

from apps.deployments.backends.base import Backend, Handle
from apps.deployments.backends.engine import INSTALLATION
from apps.deployments.backends.swarm import SwarmBackend
from tests.deployments.backends import engine as engines
from tests.deployments.backends.contract import BackendContract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def swarm(engine: docker.DockerClient) -> Iterator[None]:
    with engines.swarm(engine):
        yield


class TestSwarm(BackendContract):
    @pytest.fixture(autouse=True)
    def _engine(self, engine: docker.DockerClient) -> None:
        self.engine = engine

    @pytest.fixture
    def backend(self) -> Backend:
        return SwarmBackend()

    def fresh(self) -> Backend:
        return SwarmBackend()

    def kill(self, handle: Handle) -> None:
        mine = {"label": f"com.docker.swarm.service.name={handle['service']}"}
        self.engine.containers.list(filters=mine)[0].kill("SIGKILL")

    def test_a_service_whose_task_is_still_to_come_is_on_its_way(self, backend: Backend) -> None:
        name = f"deeploy-{settings.INSTALLATION_ID}-empty-{uuid4().hex[:6]}"
        image = engines.build_fixture(self.engine, "v1")
        labels = {INSTALLATION: settings.INSTALLATION_ID}
        mode = ServiceMode("replicated", replicas=0)
        service = self.engine.services.create(image, name=name, labels=labels, mode=mode)
        assert backend.observe({"service": name}).state == "preparing"
        service.remove()
        assert "gone" in backend.observe({"service": name}).reason

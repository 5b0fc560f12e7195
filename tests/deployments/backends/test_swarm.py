"""The swarm backend keeps the contract, on a swarm of one node that is left as it was found."""

from collections.abc import Iterator

import docker
import pytest

from apps.deployments.backends.base import Backend, Handle
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

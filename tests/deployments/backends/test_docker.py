"""The docker backend keeps the contract."""

import docker
import pytest

from apps.deployments.backends.base import Backend, Handle
from apps.deployments.backends.docker import DockerBackend
from tests.deployments.backends.contract import BackendContract

pytestmark = pytest.mark.slow


class TestDocker(BackendContract):
    @pytest.fixture(autouse=True)
    def _engine(self, engine: docker.DockerClient) -> None:
        self.engine = engine

    @pytest.fixture
    def backend(self) -> Backend:
        return DockerBackend()

    def fresh(self) -> Backend:
        return DockerBackend()

    def kill(self, handle: Handle) -> None:
        self.engine.containers.get(handle["name"]).kill("SIGKILL")

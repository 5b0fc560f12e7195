"""The process backend keeps the contract."""

import os
import signal

import pytest

from apps.deployments.backends.base import Backend, Handle
from apps.deployments.backends.process import ProcessBackend
from tests.deployments.backends.contract import BackendContract

pytestmark = pytest.mark.slow


class TestProcess(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return ProcessBackend()

    def fresh(self) -> Backend:
        return ProcessBackend()

    def kill(self, handle: Handle) -> None:
        os.kill(handle["pid"], signal.SIGKILL)

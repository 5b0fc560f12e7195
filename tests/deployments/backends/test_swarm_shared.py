"""Test processes share one swarm: the first to be done does not end it for the other."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.deployments.backends import engine as engines

pytestmark = pytest.mark.slow
USES = """
import sys, docker, django
django.setup()
from tests.deployments.backends import engine as engines
client = docker.DockerClient(base_url=sys.argv[1], version="1.41")
with engines.swarm(client):
    print("in", flush=True)
    sys.stdin.readline()
print("out", flush=True)
"""


def test_the_first_to_be_done_leaves_the_swarm_to_the_other(
    engine: docker.DockerClient, settings: Any
) -> None:
    command = [sys.executable, "-c", USES, settings.DOCKER_HOST]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        with engines.swarm(engine):
            assert other.stdout.readline() == "in\n"
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline() == "out\n"
            assert engine.info()["Swarm"]["ControlAvailable"]
        assert other.wait(30) == 0


def test_a_swarm_that_tests_did_not_begin_stays(
    engine: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engines.swarm(engine):
        monkeypatch.setattr(engines, "_SWARM", tmp_path / "swarm")
        with engines.swarm(engine):
            pass
        assert engine.info()["Swarm"]["ControlAvailable"]

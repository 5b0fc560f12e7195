"""What tests need of a Docker Engine: whether there is one, and a clean one afterwards."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import docker
import pytest
import requests
from django.conf import settings
from docker.errors import DockerException

from apps.deployments.backends.engine import INSTALLATION

_SWARM = Path(tempfile.gettempdir()) / "deeploy-tests-swarm"


def client() -> docker.DockerClient:
    """A client; skips the test where no engine answers, unless REQUIRE_DOCKER=1."""
    try:
        made = docker.DockerClient(base_url=settings.DOCKER_HOST, version="1.41")
        made.ping()
    except (DockerException, requests.RequestException) as error:
        text = f"no Docker Engine at {settings.DOCKER_HOST}: {error}"
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(text)
        pytest.skip(text)
    return made


def build_fixture(engine: docker.DockerClient, name: str) -> str:
    """The tag of an image made from `fixtures/images/<name>`."""
    tag = f"deeploy-fixture/{name}:{settings.INSTALLATION_ID}"
    labels = {INSTALLATION: settings.INSTALLATION_ID, "deeploy.role": "fixture"}
    folder = settings.BASE_DIR / "fixtures" / "images" / name
    engine.images.build(path=str(folder), tag=tag, labels=labels, rm=True, forcerm=True)
    return tag


def clean(engine: docker.DockerClient) -> None:
    """Removes what this test session made; images with packages stay, named by their content."""
    mine = {"label": f"{INSTALLATION}={settings.INSTALLATION_ID}"}
    for container in engine.containers.list(all=True, filters=mine):
        container.remove(force=True, v=True)
    for role in ("server", "fixture"):
        for image in engine.images.list(filters={"label": [mine["label"], f"deeploy.role={role}"]}):
            for tag in image.tags:
                engine.images.remove(tag, force=True)


@contextmanager
def swarm(engine: docker.DockerClient) -> Iterator[None]:
    """A swarm of this node alone, shared by all test processes of the machine.

    The last to use it leaves it, where tests began it; one that was there already stays as it is.
    Who uses it holds a shared lock on `_SWARM`, in which the swarm that tests began is named.
    """
    with _SWARM.open("a+") as file:
        while not _holds(engine, file):
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _manages(engine):
                _begin(engine, file)
        try:
            yield
        finally:
            mine = {"label": f"{INSTALLATION}={settings.INSTALLATION_ID}"}
            for service in engine.services.list(filters=mine):
                service.remove()
            fcntl.flock(file, fcntl.LOCK_UN)
            _leave(engine, file)


def _holds(engine: docker.DockerClient, file: TextIO) -> bool:
    """Takes the shared lock; True where there is a swarm then, which nobody leaves any more."""
    fcntl.flock(file, fcntl.LOCK_SH)
    return _manages(engine)


def _begin(engine: docker.DockerClient, file: TextIO) -> None:
    engine.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
    file.truncate(0)
    file.write(engine.info()["Swarm"]["Cluster"]["ID"])
    file.flush()


def _leave(engine: docker.DockerClient, file: TextIO) -> None:
    """Ends the swarm where tests began it and none uses it now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    file.seek(0)
    if _manages(engine) and file.read() == engine.info()["Swarm"]["Cluster"]["ID"]:
        engine.swarm.leave(force=True)


def _manages(engine: docker.DockerClient) -> bool:
    return bool(engine.info()["Swarm"].get("ControlAvailable"))

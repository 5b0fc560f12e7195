"""Containers and services that are killed or removed, or lose their engine, come back."""

import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.deployments.backends.docker import DockerBackend
from apps.deployments.models import Revision
from apps.deployments.reconcile import Reconciler
from tests.deployments.backends import engine as engines
from tests.deployments.backends.custom import Deploy, ready, settled, tick_until
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BACK_WITHIN_SECONDS = 10


def is_back(before: dict[str, Any]) -> bool:
    return any(replica.handle != before for replica in ready())


@pytest.mark.parametrize("act", ["kill", "remove"])
def test_a_container_that_is_ended_by_hand_is_back(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient, act: str
) -> None:
    deployment = deploy(engines.build_fixture(engine, "v1"))
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    before = ready()[0].handle
    container = engine.containers.get(before["name"])
    container.kill() if act == "kill" else container.remove(force=True)
    assert tick_until(reconciler, lambda: is_back(before)) < BACK_WITHIN_SECONDS


def test_a_service_that_is_removed_by_hand_is_back(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient
) -> None:
    with engines.swarm(engine):
        deployment = deploy(engines.build_fixture(engine, "v2"), backend="swarm")
        revision = settled(reconciler, deployment)
        assert revision.state == Revision.State.ACTIVE, revision.error
        before = ready()[0].handle
        engine.services.get(before["service"]).remove()
        assert tick_until(reconciler, lambda: is_back(before)) < BACK_WITHIN_SECONDS
        reconciler.stop_everything(timezone.now())


class Calls:
    """Predictions from two clients until told to stop; keeps what was not answered with 200."""

    def __init__(self, web: LiveServer, path: str, token: str) -> None:
        self.web, self.path, self.token = web, path, token
        self.ended = threading.Event()
        self.answered, self.failures = 0, []  # type: ignore[var-annotated]
        self.threads = [threading.Thread(target=self._call) for _ in range(2)]

    def __enter__(self) -> "Calls":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _call(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=30)
        body = json.dumps({"instances": [{"a": 1.0, "b": 3.0}]})
        while not self.ended.is_set():
            client.request("POST", self.path, body, {"Authorization": f"Bearer {self.token}"})
            answer = client.getresponse()
            content = answer.read()
            self.answered += 1
            if answer.status != 200:
                self.failures.append((answer.status, content))
        client.close()


def test_with_two_replicas_no_request_fails_while_one_is_killed(
    deploy: Deploy, reconciler: Reconciler, engine: docker.DockerClient, operator: User
) -> None:
    deployment = deploy(engines.build_fixture(engine, "v1"), replicas=2)
    assert settled(reconciler, deployment).state == Revision.State.ACTIVE
    _, token = accounts.issue_token(
        workspace=deployment.workspace, deployment_id=deployment.id,
        deployment_name=deployment.name, name="t", scopes=["predict"], by=operator,
    )  # fmt: skip
    web = LiveServer().start()
    path = f"/workspaces/{deployment.workspace.slug}/deployments/{deployment.slug}/predict"
    try:
        with Calls(web, path, token) as calls:
            wait_until(lambda: calls.answered > 50)
            before = ready()[0].handle
            engine.containers.get(before["name"]).kill()
            tick_until(reconciler, lambda: len(ready()) == 2 and is_back(before))
            so_far = calls.answered
            wait_until(lambda: calls.answered > so_far + 50)
    finally:
        web.stop()
    assert calls.failures == []


def wait_until(done: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class OwnEngine:
    """An engine of the test's own, in a network of its own: without a bridge it would remove the
    machine's docker0 too."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"unix://{root}/docker.sock"

    def start(self) -> docker.DockerClient:
        command = [
            "unshare",
            "--net",
            "dockerd",
            "--data-root",
            self.root / "data",
            "--exec-root",
            self.root / "exec",
        ]
        command += ["-H", self.url, "-p", self.root / "pid", "--bridge=none", "--iptables=false"]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=log, stderr=log, start_new_session=True
            )
        client = docker.DockerClient(base_url=self.url, version="1.41")
        deadline = time.monotonic() + 30
        while True:
            try:
                client.ping()
                return client
            except requests.RequestException:
                assert time.monotonic() < deadline, (self.root / "log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)

    def remove(self) -> None:
        """Ends it where a test failed, and frees its folder, which an engine mounts on itself."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        subprocess.run(["umount", "--lazy", self.root / "data"], capture_output=True)


@pytest.fixture
def own_engine(engine: docker.DockerClient) -> Iterator[OwnEngine]:
    if os.geteuid() != 0:
        pytest.skip("a second engine needs root")
    # Sockets of the engine lie below; their paths hold a hundred characters.
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder:
        own = OwnEngine(Path(folder))
        yield own
        own.remove()


# The SDK leaves the socket open with which it did not reach the engine.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")
def test_an_engine_that_was_stopped_and_started_serves_again(
    deploy: Deploy, engine: docker.DockerClient, own_engine: OwnEngine, settings: Any
) -> None:
    tag = engines.build_fixture(engine, "v1")
    client = own_engine.start()
    for image in ("python:3.11-slim", tag):
        client.images.load(b"".join(engine.images.get(image).save(named=True)))
    settings.DOCKER_HOST = own_engine.url
    backend = DockerBackend()
    reconciler = Reconciler(backend_for=lambda _: backend)
    assert settled(reconciler, deploy(tag)).state == Revision.State.ACTIVE
    before = ready()[0].handle
    own_engine.stop()
    reconciler.tick(timezone.now())
    assert "does not answer" in ready()[0].message
    own_engine.start().close()
    assert tick_until(reconciler, lambda: is_back(before)) < BACK_WITHIN_SECONDS
    reconciler.stop_everything(timezone.now())
    client.close()
    own_engine.stop()

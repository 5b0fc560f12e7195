"""What a model in a container tries in vain, while the web process answers as before."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from django.conf import settings

from apps.deployments.backends.docker import DockerBackend
from tests.deployments.backends.contract import end_of, running_code, spec_of, wait_for
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ATTEMPTS = """
import json, os, socket, time
from pathlib import Path

def tried(act):
    try:
        return act() or "done"
    except BaseException as error:
        return type(error).__name__

def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        s.connect(address)

def forked():
    children = []
    try:
        while len(children) < 10_000:
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return len(children)

result = {
    "root": tried(lambda: Path("/written").write_text("x")),
    "code": tried(lambda: Path("/opt/deeploy/apps/serving/x.py").write_text("x")),
    "artifact": tried(lambda: open("/artifact", "ab")),
    "database file": tried(lambda: connect(socket.AF_UNIX, POSTGRES)),
    "database port": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", PORT))),
    "host": tried(lambda: connect(socket.AF_INET, ("172.17.0.1", PORT))),
    "internet": tried(lambda: connect(socket.AF_INET, ("1.1.1.1", 53))),
    "names": tried(lambda: bool(socket.getaddrinfo("example.org", 80))),
    "secrets": tried(lambda: os.listdir(SECRETS)),
    "engine": tried(lambda: connect(socket.AF_UNIX, "/var/run/docker.sock")),
    "root user": tried(lambda: os.setuid(0)),
    "mount": tried(lambda: os.chroot("/tmp")),
}
print("RESULT " + json.dumps({
    "attempts": result,
    "forks": forked(),
    "environment": sorted(os.environ),
    "others": [Path(f"/proc/{p}/environ").read_bytes().decode() for p in os.listdir("/proc")
               if p.isdigit()],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "tmp": tried(lambda: Path("/tmp/mine").write_text("x")),
}), flush=True)
"""


@pytest.fixture
def backend(engine: docker.DockerClient) -> DockerBackend:
    return DockerBackend()


@pytest.fixture
def web() -> Iterator[LiveServer]:
    server = LiveServer().start()
    yield server
    server.stop()


def answers(web: LiveServer) -> bool:
    return web.request("GET", "/readyz")[0] == 200


def attempts(backend: DockerBackend, code: str, web: LiveServer) -> Any:
    handle = backend.start(spec_of(running_code(code), "pickle"))
    try:
        wait_for(backend, handle, lambda: answers(web) and "RESULT" in backend.log(handle))
        said = backend.log(handle).splitlines()
        line = next(line for line in said if line.startswith("RESULT"))
        return json.loads(line.removeprefix("RESULT "))
    finally:
        backend.stop(handle, grace_seconds=1)


def test_a_container_reaches_nothing_and_the_web_process_does_not_notice(
    backend: DockerBackend, web: LiveServer
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        values = {
            "POSTGRES": settings.DATABASES["default"]["HOST"] + "/.s.PGSQL.5432",
            "PORT": listener.getsockname()[1],
            "SECRETS": str(settings.VAR_DIR / "secrets"),
        }
        head = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        result = attempts(backend, head + ATTEMPTS, web)
    assert {what for what, end in result["attempts"].items() if end in ("done", True)} == set()
    assert result["forks"] < 256
    assert result["interfaces"] == ["lo"]
    assert not {"DATABASE_URL", "SECRET_KEY", "VAR_DIR"} & set(result["environment"])
    assert not any(str(settings.VAR_DIR) in text for text in result["others"])
    assert result["tmp"] == 1
    assert answers(web)


def test_a_container_that_takes_four_gigabytes_is_ended_alone(
    backend: DockerBackend, web: LiveServer
) -> None:
    handle = backend.start(spec_of(running_code("x = b'x' * (4 * 1024**3)"), "pickle"))
    try:
        seen = end_of(backend, handle)
    finally:
        backend.stop(handle, grace_seconds=1)
    assert seen.exit_code == -9 or "MemoryError" in backend.log(handle)
    assert "more memory" in seen.reason
    assert answers(web)

"""Model servers as processes: they serve, they stop, and what runs in them is locked in."""

import http.client
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from django.conf import settings
from sklearn.linear_model import LogisticRegression

from apps.core.ids import uuid7
from apps.deployments.backends.base import Handle, ReplicaSpec
from apps.deployments.backends.process import ProcessBackend
from apps.registry import storage
from apps.serving.spec import ServerSpec

pytestmark = pytest.mark.slow
Start = Callable[..., Handle]


class UnixHTTP(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(handle: Handle, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = UnixHTTP(handle["socket"])
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def wait_ready(backend: ProcessBackend, handle: Handle, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if backend.observe(handle).state == "exited":
            pytest.fail(backend.log(handle))
        try:
            if call(handle, "GET", "/v2/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    pytest.fail("not ready: " + backend.log(handle))


@pytest.fixture
def backend() -> ProcessBackend:
    return ProcessBackend()


@pytest.fixture
def start(backend: ProcessBackend) -> Iterator[Start]:
    handles = []

    def started(content: bytes, format_: str = "joblib", **metadata: Any) -> Handle:
        artifact = storage.store([content])
        spec = ServerSpec("m", "sklearn", format_, str(artifact.path), metadata)
        handle = backend.start(ReplicaSpec(uuid7(), spec, memory_bytes=2 * 1024**3))
        handles.append(handle)
        return handle

    yield started
    for handle in handles:
        backend.stop(handle, grace_seconds=2)


def logistic(tmp_path: Path) -> bytes:
    model = LogisticRegression().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), [0, 1])
    joblib.dump(model, tmp_path / "m.joblib")
    return (tmp_path / "m.joblib").read_bytes()


def test_a_replica_serves_and_stops(backend: ProcessBackend, start: Start, tmp_path: Path) -> None:
    handle = start(logistic(tmp_path))
    wait_ready(backend, handle)
    status, body = call(handle, "POST", "/v1/models/m:predict", {"instances": [[0.0, 1.0]]})
    assert status == 200
    assert sum(body["predictions"][0]) == pytest.approx(1)
    backend.stop(handle, grace_seconds=5)
    assert backend.observe(handle).state == "exited"
    assert not os.path.exists(handle["socket"])


def test_a_replica_is_found_again_by_another_backend(start: Start, tmp_path: Path) -> None:
    handle = json.loads(json.dumps(start(logistic(tmp_path))))
    other = ProcessBackend()
    assert other.observe(handle).state == "running"
    assert other.observe(handle | {"created": handle["created"] - 100}).state == "exited"


def test_the_log_tells_why_a_file_cannot_be_loaded(backend: ProcessBackend, start: Start) -> None:
    handle = start(pickle.dumps({"no": "model"}), "pickle")
    deadline = time.monotonic() + 30
    while backend.observe(handle).state == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "has no predict" in backend.log(handle).splitlines()[-1]


ATTEMPTS = """
import json, os, socket
from pathlib import Path

def tried(act):
    try:
        act()
    except BaseException as error:
        return type(error).__name__
    return "done"

def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        s.connect(address)

result = {
    "secret": tried(lambda: Path(SECRETS, "secret-key").read_text()),
    "secrets": tried(lambda: os.listdir(SECRETS)),
    "write": tried(lambda: Path(OUTSIDE, "written").write_text("x")),
    "shell": tried(lambda: os.execv("/bin/sh", ["sh", "-c", "true"])),
    "tcp": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", PORT))),
    "postgres": tried(lambda: connect(socket.AF_UNIX, POSTGRES)),
    "artifacts": tried(lambda: os.listdir(ARTIFACTS)),
    "parent": tried(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()),
    "kill": tried(lambda: os.kill(os.getppid(), 0)),
    "environment": sorted(os.environ),
    "tmp": tried(lambda: Path(os.environ["TMPDIR"], "mine").write_text("x")),
}
print("RESULT " + json.dumps(result), flush=True)
"""


class Attacker:
    """Unpickled, runs the attempts."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code, {})


def test_what_a_pickle_does_reaches_no_secret_no_database_and_no_network(
    backend: ProcessBackend, start: Start, tmp_path: Path
) -> None:
    settings.SECRET_KEY  # noqa: B018  makes the file that must not be read
    listener = socket.create_server(("127.0.0.1", 0))
    values = {
        "SECRETS": str(settings.VAR_DIR / "secrets"),
        "OUTSIDE": str(tmp_path),
        "PORT": listener.getsockname()[1],
        "POSTGRES": settings.DATABASES["default"]["HOST"] + "/.s.PGSQL.5432",
        "ARTIFACTS": str(settings.VAR_DIR / "artifacts"),
    }
    head = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    tmp_path.chmod(0o777)
    handle = start(pickle.dumps(Attacker(head + ATTEMPTS)), "pickle")
    deadline = time.monotonic() + 30
    while "RESULT" not in backend.log(handle) and time.monotonic() < deadline:
        time.sleep(0.1)
    listener.close()
    line = next(x for x in backend.log(handle).splitlines() if x.startswith("RESULT"))
    result = json.loads(line.removeprefix("RESULT "))
    assert result.pop("tmp") == "done"
    names = result.pop("environment")
    assert not {"DATABASE_URL", "SECRET_KEY", "VAR_DIR"} & set(names)
    assert handle["isolation"]["landlock"] or handle["isolation"]["uid"] is not None
    assert {name for name, outcome in result.items() if outcome == "done"} == set()


def test_a_replica_cannot_take_more_memory_than_it_was_given(tmp_path: Path) -> None:
    """The limit is the process's own: allocation fails, nobody else notices."""
    artifact = storage.store([pickle.dumps(Attacker("x = bytearray(4 * 1024**3)"))])
    backend = ProcessBackend()
    spec = ServerSpec("m", "sklearn", "pickle", str(artifact.path))
    handle = backend.start(ReplicaSpec(uuid7(), spec, memory_bytes=1024**3))
    deadline = time.monotonic() + 30
    while backend.observe(handle).state == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "needs more memory" in backend.log(handle)
    backend.stop(handle, grace_seconds=1)


def test_the_launcher_refuses_to_go_on_without_its_locks(tmp_path: Path) -> None:
    from apps.deployments.backends import launcher

    config = {
        "uid": None,
        "directory": "/",
        "command": ["/bin/true"],
        "environment": {},
        "nice": 0,
        "limits": {},
        "landlock": {"read": ["/proc/self/root\x00"], "execute": [], "write": []},
    }
    config["landlock"]["read"] = ["/root/" + "x" * 5000]
    (tmp_path / "c.json").write_text(json.dumps(config))
    result = subprocess.run(
        [sys.executable, "-I", launcher.__file__, str(tmp_path / "c.json")],
        capture_output=True,
        text=True,
    )
    assert result.returncode == launcher.ISOLATION_FAILED
    assert "cannot be isolated" in result.stderr

"""What every backend does. Inherit from `BackendContract` and give `backend` and `kill`."""

import json
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from apps.core.ids import uuid7
from apps.deployments import model_client
from apps.deployments.backends.base import Backend, Handle, Observation, ReplicaSpec
from apps.registry import storage
from apps.serving.spec import ServerSpec

Start = Callable[..., Handle]
START_SECONDS = 240


class RunsCode:
    """Unpickled, runs `code` in the model server."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code, {})


def running_code(code: str) -> bytes:
    return pickle.dumps(RunsCode(code))


def spec_of(content: bytes, format_: str, **values: Any) -> ReplicaSpec:
    artifact = storage.store([content])
    server = ServerSpec(model_client.MODEL_NAME, "sklearn", format_, str(artifact.path))
    return ReplicaSpec(uuid7(), server, **{"memory_bytes": 1024**3} | values)


def wait_for(
    backend: Backend, handle: Handle, done: Callable[[], bool], seconds: float = START_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if done():
            return
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {backend.observe(handle)}\n{backend.log(handle)}")


def is_ready(backend: Backend, handle: Handle) -> bool:
    seen = backend.observe(handle)
    if seen.state == "exited":
        pytest.fail(f"{seen}\n{backend.log(handle)}")
    try:
        address = backend.address(handle)
        return bool(address) and model_client.readiness(address)[0] == "ready"
    except model_client.Unreachable:
        return False


def end_of(backend: Backend, handle: Handle) -> Observation:
    """The look at a replica that sees that it has ended."""
    seen: list[Observation] = []

    def ended() -> bool:
        seen.append(backend.observe(handle))
        return seen[-1].state == "exited"

    wait_for(backend, handle, ended)
    return seen[-1]


class BackendContract:
    """Start, look, stop, read; over a crash of ours and the server's own."""

    @pytest.fixture
    def backend(self) -> Backend:
        raise NotImplementedError

    def fresh(self) -> Backend:
        """Another backend, as after a restart of ours."""
        raise NotImplementedError

    def kill(self, handle: Handle) -> None:
        """SIGKILL from outside."""
        raise NotImplementedError

    @pytest.fixture
    def start(self, backend: Backend) -> Iterator[Start]:
        handles = []

        def started(content: bytes, format_: str = "joblib", **values: Any) -> Handle:
            handle = backend.start(spec_of(content, format_, **values))
            handles.append(handle)
            return handle

        yield started
        for handle in handles:
            backend.stop(handle, grace_seconds=1)

    @pytest.fixture
    def logistic(self, tmp_path: Path) -> bytes:
        model = LogisticRegression().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), [0, 1])
        joblib.dump(model, tmp_path / "m.joblib")
        return (tmp_path / "m.joblib").read_bytes()

    def test_a_replica_serves_is_seen_and_stops(
        self, backend: Backend, start: Start, logistic: bytes
    ) -> None:
        handle = start(logistic)
        wait_for(backend, handle, lambda: is_ready(backend, handle))
        address = backend.address(handle)
        assert sum(model_client.predict(address, [[0.0, 1.0]])[0]) == pytest.approx(1)
        seen = backend.observe(handle)
        assert seen.state == "running"
        assert seen.memory_bytes > 20 * 1024**2
        assert "Ready after" in backend.log(handle)
        assert len(backend.log(handle, lines=1).splitlines()) == 1
        backend.stop(handle, grace_seconds=10)
        assert backend.observe(handle).state == "exited"
        with pytest.raises(model_client.Unreachable):
            model_client.readiness(address)
        backend.stop(handle, grace_seconds=1)

    def test_a_replica_is_found_again_after_a_crash_of_ours(
        self, backend: Backend, start: Start, logistic: bytes
    ) -> None:
        handle = json.loads(json.dumps(start(logistic)))
        wait_for(backend, handle, lambda: is_ready(backend, handle))
        other = self.fresh()
        assert other.observe(handle).state == "running"
        assert other.address(handle) == backend.address(handle)
        assert other.orphans([handle]) == []
        orphans = other.orphans([])
        assert len(orphans) == 1
        other.stop(orphans[0], grace_seconds=5)
        assert other.observe(handle).state == "exited"

    def test_a_file_that_cannot_be_loaded_ends_with_its_code_and_reason(
        self, backend: Backend, start: Start
    ) -> None:
        handle = start(pickle.dumps({"no": "model"}), "pickle")
        assert end_of(backend, handle).exit_code == 3
        assert "has no predict" in backend.log(handle)

    def test_a_replica_that_does_not_listen_to_reason_is_killed(
        self, backend: Backend, start: Start
    ) -> None:
        deaf = "print('DEAF', flush=True)\nimport re; re.match(r'(a+)+$', 'a' * 64 + 'b')"
        handle = start(running_code(deaf), "pickle")
        wait_for(backend, handle, lambda: "DEAF" in backend.log(handle))
        started = time.monotonic()
        backend.stop(handle, grace_seconds=1)
        assert 1 <= time.monotonic() - started < 10
        assert backend.observe(handle).state == "exited"

    def test_a_kill_from_outside_is_seen(
        self, backend: Backend, start: Start, logistic: bytes
    ) -> None:
        handle = start(logistic)
        wait_for(backend, handle, lambda: is_ready(backend, handle))
        self.kill(handle)
        assert end_of(backend, handle).exit_code == -9

"""`python -m apps.serving` as a process: it waits for its example, answers, counts and drains."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from apps.serving.errors import LoadError
from apps.serving.server import ModelServer
from apps.serving.spec import Limits, ServerSpec

ROOT = Path(__file__).resolve().parents[2]
METADATA: dict[str, Any] = {
    "features": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [{"a": 0.0, "b": 1.0}]},
}
ROWS = [{"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}]


class Slow(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Takes half a second to answer."""

    def predict(self, rows: Any) -> Any:
        time.sleep(0.5)
        return [0] * len(rows)


@pytest.fixture
def artifact(tmp_path: Path) -> str:
    model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    joblib.dump(model, tmp_path / "m.joblib")
    return str(tmp_path / "m.joblib")


def spec_of(artifact: str, metadata: dict[str, Any] | None = None, **values: Any) -> ServerSpec:
    described = METADATA if metadata is None else metadata
    return ServerSpec("m", "sklearn", "joblib", artifact, described, **values)


class Running:
    """A model server as a process on a Unix socket."""

    def __init__(self, spec: ServerSpec, folder: Path) -> None:
        spec.dump(folder / "spec.json")
        self.path = spec.uds
        self.process = subprocess.Popen(
            [sys.executable, "-m", "apps.serving", "--spec", str(folder / "spec.json")],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(self.path)
            data = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def wait(self) -> "Running":
        for _ in range(600):
            try:
                if self.call("GET", "/v2/health/ready")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("not ready")

    def end(self) -> str:
        self.process.terminate()
        said, _ = self.process.communicate(timeout=40)
        return str(said)


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[Running] = []

    def served(artifact: str, metadata: dict[str, Any] | None = None, **values: Any) -> Running:
        spec = spec_of(artifact, metadata, uds=str(tmp_path / "s"), **values)
        started.append(Running(spec, tmp_path))
        return started[-1]

    yield served
    for running in started:
        if running.process.poll() is None:
            running.end()


@pytest.mark.slow
def test_it_answers_both_protocols_and_counts(artifact: str, serve: Serve) -> None:
    server = serve(artifact, limits=Limits(max_rows=5, max_body_bytes=2000)).wait()
    status, v1 = server.call("POST", "/v1/models/m:predict", {"instances": ROWS})
    assert (status, len(v1["predictions"])) == (200, 2)
    tensor = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [0, 1, 1, 0]}
    _, v2 = server.call("POST", "/v2/models/m/infer", {"inputs": [tensor]})
    assert v2["outputs"][0]["data"] == [p for row in v1["predictions"] for p in row]
    refused = [
        server.call("POST", "/v1/models/m:predict", body)
        for body in (b"{", b"[" * 900, {"instances": []}, {"instances": ROWS * 3}, b"x" * 2001)
    ]
    assert [status for status, _ in refused] == [400, 400, 400, 400, 413]
    assert "not JSON" in refused[0][1]["error"]
    assert server.call("GET", "/nowhere")[0] == 404
    assert server.call("POST", "/v2")[0] == 405
    _, metrics = server.call("GET", "/metrics.json")
    counted = {name: metrics[name] for name in ("inFlight", "queued", "rows", "errors")}
    assert counted == {"inFlight": 0, "queued": 0, "rows": 4, "errors": 0}
    assert metrics["peakMemoryBytes"] > 10_000_000


@pytest.mark.slow
def test_sigterm_lets_running_requests_finish(tmp_path: Path, serve: Serve) -> None:
    joblib.dump(Slow(), tmp_path / "slow.joblib")
    server = serve(str(tmp_path / "slow.joblib"), {}).wait()
    client = socket.socket(socket.AF_UNIX)
    client.connect(server.path)
    body = b'{"instances": [[1], [2]]}'
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    client.sendall(head.encode() + body)
    while server.call("GET", "/metrics.json")[1]["inFlight"] == 0:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    client.settimeout(10)
    with client:
        assert b"200 OK" in client.recv(4096)
    server.process.communicate(timeout=10)
    assert server.process.returncode == 0


@pytest.mark.slow
def test_a_file_that_cannot_be_loaded_ends_it_with_the_reason_last(
    tmp_path: Path, serve: Serve
) -> None:
    (tmp_path / "x").write_bytes(b"no model")
    server = serve(str(tmp_path / "x"))
    said, _ = server.process.communicate(timeout=40)
    assert server.process.returncode == 3
    assert "cannot be loaded with scikit-learn" in said.splitlines()[-1]


async def test_it_is_not_ready_before_the_example_gave_an_output(artifact: str) -> None:
    server = ModelServer(spec_of(artifact))
    assert server._ready().status == 503
    loading = asyncio.create_task(server.load())
    await asyncio.sleep(0)
    assert b"loading" in server._ready().body
    await loading
    assert server._ready().status == 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exampleInput": {"rows": []}}, "cannot be read"),
        ({"exampleInput": {"instances": []}}, "There are no instances"),
        ({"exampleInput": {"instances": [{"a": 1.0}]}}, "b is missing"),
        ({"predictionClasses": {"a": 0, "b": 1, "c": 2}}, "2 class probabilities.*3 prediction"),
        ({"problemType": "guess"}, "problem type guess is not served"),
        (
            {"problemType": "classification", "predictionClasses": {"no": 7, "yes": 8}},
            "none of the prediction classes",
        ),
        (
            {
                "features": METADATA["features"][:1],
                "exampleInput": {"instances": [[1.0]]},
            },
            "failed on the example input: ValueError: X has 1 features",
        ),
    ],
)
async def test_an_example_that_gives_no_valid_output_fails_the_load(
    artifact: str, change: dict[str, Any], message: str
) -> None:
    server = ModelServer(spec_of(artifact, METADATA | change))
    with pytest.raises(LoadError, match=message):
        await server.load()
    assert server.state == "failed"
    assert json.loads(server._ready().body)["message"] == server.message

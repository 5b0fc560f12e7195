"""The model server alone, beside a bare granian application around the same model.

    python -m tests.bench.server [--seconds 5]

Prints requests a second, median and 99th percentile of the response time, CPU seconds of the
server per 1,000 requests, and the ratio to the bare application, at 1, 16 and 64 connections over
a Unix socket. Each answer is compared with what plain Python gives for its row.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import psutil
import uvloop
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.serving.spec import ServerSpec
from fixtures import train_demo

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = (1, 16, 64)


@dataclass(frozen=True)
class Subject:
    """A model file with rows to ask and what plain Python answers."""

    name: str
    spec: ServerSpec
    rows: list[Any]
    expected: np.ndarray


@dataclass
class Measured:
    """What one run at one number of connections gave."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    wrong: int = 0
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    def line(self) -> str:
        p50, p99 = np.quantile(self.times, [0.5, 0.99]) * 1000
        cpu = self.cpu_seconds / len(self.times) * 1000
        return f"{self.rate:8,.0f} {p50:8.2f} {p99:8.2f} {cpu:8.3f}"


def subjects(folder: Path) -> list[Subject]:
    data = train_demo.read_data()
    sys.argv[1:] = ["--out", str(folder)]
    train_demo.main()
    rows = json.loads(data.test.head(100).to_json(orient="records"))
    boosting = train_demo.train_gradient_boosting(data)
    trees = train_demo.train_xgboost(data)
    frame = pd.DataFrame(rows)
    categories = train_demo.with_categories(frame, data.features)
    return [
        _demo(folder, "gradient-boosting", "skops", rows, boosting.predict_proba(frame)),
        _demo(folder, "xgboost", "ubj", rows, trees.predict_proba(categories)),
        _logistic(folder / "logistic"),
    ]


def _demo(folder: Path, name: str, suffix: str, rows: list[Any], expected: Any) -> Subject:
    metadata = json.loads((folder / name / "metadata.json").read_text())
    framework, format_ = {"ubj": ("xgboost", "xgboost-ubj")}.get(suffix, ("sklearn", suffix))
    path = str(folder / name / f"model.{suffix}")
    return Subject(name, ServerSpec("m", framework, format_, path, metadata), rows, expected)


def _logistic(folder: Path) -> Subject:
    folder.mkdir()
    values, target = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(values, target)
    joblib.dump(model, folder / "model.joblib")
    spec = ServerSpec("m", "sklearn", "joblib", str(folder / "model.joblib"))
    rows = values[:100]
    return Subject("logistic", spec, rows.tolist(), model.predict_proba(rows))


@contextmanager
def serving(command: list[str], socket: Path, **environment: str) -> Iterator[psutil.Process]:
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT)} | environment
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended with {process.returncode}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
        socket.unlink(missing_ok=True)


def cpu_of(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


class Client(asyncio.Protocol):
    """One connection that asks row after row until it is told to stop."""

    def __init__(self, requests: list[bytes], expected: np.ndarray, measured: Measured) -> None:
        self.requests, self.expected, self.measured = requests, expected, measured
        self.done = asyncio.get_running_loop().create_future()
        self.buffer, self.number, self.deadline = b"", 0, 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def start(self, number: int, deadline: float) -> None:
        self.number, self.deadline = number % len(self.requests), deadline
        self._ask()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.requests[self.number])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.buffer = b""
        self.measured.times.append(now - self.began)
        self._compare(body)
        self.number = (self.number + 1) % len(self.requests)
        if now < self.deadline:
            self._ask()
        else:
            self.transport.close()
            self.done.set_result(None)

    def _compare(self, body: bytes) -> None:
        found = orjson.loads(body).get("predictions", [[2.0]])[0]
        if abs(found[-1] - self.expected[self.number][-1]) > 1e-12:
            self.measured.wrong += 1


async def load(socket: str, path: str, subject: Subject, connections: int, s: float) -> Measured:
    """`connections` clients, each with one request at a time, for `s` seconds."""
    requests = []
    for row in subject.rows:
        body = orjson.dumps({"instances": [row]})
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
    measured, loop = Measured(), asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_unix_connection(
            lambda: Client(requests, subject.expected, measured), socket
        )
        clients.append(client)
    began = time.perf_counter()
    for number, client in enumerate(clients):
        client.start(number, began + s)
    await asyncio.gather(*(client.done for client in clients))
    measured.seconds = time.perf_counter() - began
    return measured


def wait_ready(socket: Path, path: str, subject: Subject) -> None:
    """Until a request is answered with a prediction."""
    for _ in range(300):
        try:
            if not uvloop.run(load(str(socket), path, subject, 1, 0)).wrong:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{subject.name} does not answer on {socket}")


def run(process: psutil.Process, socket: Path, path: str, subject: Subject, s: float) -> Any:
    """A measurement for each number of connections, after half a second to warm up."""
    for connections in CONNECTIONS:
        uvloop.run(load(str(socket), path, subject, connections, 0.5))
        before = cpu_of(process)
        measured = uvloop.run(load(str(socket), path, subject, connections, s))
        measured.cpu_seconds = cpu_of(process) - before
        if measured.wrong:
            raise SystemExit(f"{subject.name}: {measured.wrong} answers are wrong")
        yield connections, measured


def compare(subject: Subject, folder: Path, seconds: float) -> None:
    ours, theirs = folder / "ours.sock", folder / "bare.sock"
    spec = folder / "spec.json"
    ServerSpec(**{**_values(subject.spec), "uds": str(ours)}).dump(spec)
    command = [sys.executable, "-m", "apps.serving", "--spec", str(spec)]
    with serving(command, ours) as process:
        wait_ready(ours, "/v1/models/m:predict", subject)
        served = dict(run(process, ours, "/v1/models/m:predict", subject, seconds))
    granian = [
        str(Path(sys.executable).parent / "granian"), "--interface", "asgi", "--loop", "uvloop",
        "--workers", "1", "--log-level", "warning", "--uds", str(theirs),
        "tests.bench.bare_model:app",
    ]  # fmt: skip
    with serving(granian, theirs, MODEL=subject.spec.artifact) as process:
        wait_ready(theirs, "/predict", subject)
        bare = dict(run(process, theirs, "/predict", subject, seconds))
    for connections in CONNECTIONS:
        ratio = served[connections].rate / bare[connections].rate
        print(f"{subject.name:18} {connections:4} server {served[connections].line()} {ratio:7.2f}")
        print(f"{'':23} bare   {bare[connections].line()}")


def _values(spec: ServerSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in ServerSpec.__dataclass_fields__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = subjects(folder)
        print(f"{'model':18} {'conn':>4} {'':6} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} "
              f"{'CPU/1000':>8} {'x bare':>7}")  # fmt: skip
        for subject in models:
            compare(subject, folder, seconds)


if __name__ == "__main__":
    main()

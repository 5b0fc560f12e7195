"""Starts what a benchmark measures: the whole product, or one bare application."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
_START_SECONDS = 900


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Product:
    """`manage.py up` with its demo in a directory of its own."""

    def __init__(self, var_dir: Path, **settings: str) -> None:
        self.var_dir = var_dir
        self.port = free_port()
        self.log = (var_dir / "up.log").open("wb")
        environment = os.environ | {"VAR_DIR": str(var_dir), "PORT": str(self.port)} | settings
        environment.pop("DATABASE_URL", None)
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up"],
            env=environment,
            cwd=ROOT,
            stdout=self.log,
            stderr=self.log,
        )
        self.demo = self._wait()

    def _wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if b"Ctrl-C" in (self.var_dir / "up.log").read_bytes():
                demo: dict[str, Any] = json.loads((self.var_dir / "demo.json").read_text())
                return demo
            time.sleep(0.2)
        raise RuntimeError((self.var_dir / "up.log").read_text()[-2000:])

    def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
        """The JSON answer of the control API; raises where it refuses."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        client.request(method, path, body, headers)
        answer = client.getresponse()
        text = answer.read()
        client.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text) if text else None

    def processes(self) -> list[psutil.Process]:
        """All that answering takes: web, model servers, controller, worker and PostgreSQL."""
        own = psutil.Process(self.process.pid)
        postmaster = (self.var_dir / "postgres" / "postmaster.pid").read_text().split()[0]
        database = psutil.Process(int(postmaster))
        found = [own, *own.children(True), database, *database.children(True)]
        return list({each.pid: each for each in found}.values())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


class Api:
    """The control API of a running product, as its demo's key pair."""

    def __init__(self, product: Product) -> None:
        self.product = product
        demo = product.demo
        pair = base64.b64encode(f"{demo['accessKey']}:{demo['secretKey']}".encode()).decode()
        self.headers = {"Authorization": f"Basic {pair}"}
        self.base = f"/workspaces/{demo['workspaceId']}"

    def get(self, path: str) -> Any:
        return self.product.call("GET", f"{self.base}/{path}", b"", self.headers)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = self.headers | {"Content-Type": "application/json"}
        return self.product.call("POST", f"{self.base}/{path}", json.dumps(body).encode(), headers)

    def upload(
        self, path: str, artifact: Path, metadata: dict[str, Any], sample: Path | None = None
    ) -> Any:
        """A model version from a file, and from one of reference data."""
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="'
        body = f'{head}metadata"\r\n\r\n{json.dumps(metadata)}\r\n'.encode()
        for field, file in {"artifact": artifact, "sample": sample}.items():
            if file is not None:
                body += f'{head}{field}"; filename="{file.name}"\r\n\r\n'.encode()
                body += file.read_bytes() + b"\r\n"
        body += f"--{mark}--\r\n".encode()
        headers = self.headers | {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return self.product.call("POST", f"{self.base}/{path}", body, headers)

    def wait_until_serving(self, deployment: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        path = f"{self.base}/deployments/{deployment}"
        while time.monotonic() < deadline:
            answer = self.product.call("GET", path, b"", self.headers)
            if answer["state"] == "Serving":
                return
            if answer["errorDetails"]:
                raise RuntimeError(str(answer["errorDetails"]))
            time.sleep(0.1)
        raise RuntimeError(f"{deployment} does not serve after {seconds} s")


@contextmanager
def bare(environment: dict[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    """`tests.bench.bare` under granian with one worker: its port and process."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-ws", "--workers", "1"]
    command += ["--log-level", "warning", "tests.bench.bare:application"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | threads | environment)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User and system time that these processes have used."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total

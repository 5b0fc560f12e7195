"""A real web process on a free port, against the test database, for tests from outside."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def database_url() -> str:
    """The test database as a URL."""
    s = connection.settings_dict
    user, password = quote(s["USER"]), quote(s["PASSWORD"])
    if s["HOST"].startswith("/"):
        return f"postgresql://{user}:{password}@/{s['NAME']}?host={quote(s['HOST'], safe='/')}"
    return f"postgresql://{user}:{password}@{s['HOST']}:{s['PORT'] or 5432}/{s['NAME']}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class LiveServer:
    """granian with the real ASGI application. Stop it with `stop`."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self.environment = os.environ | {
            "DATABASE_URL": database_url(),
            "PORT": str(self.port),
            "BASE_URL": f"http://127.0.0.1:{self.port}",
            "GATEWAY_URL": f"http://127.0.0.1:{self.port}",
        }
        self.environment |= environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "LiveServer":
        command = [
            str(Path(sys.executable).parent / "granian"),
            "--interface", "asgi", "--loop", "uvloop", "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", "1", "--backlog", "4096",
            "--log-level", "warning",
            "deeploy_site.asgi:application",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, start_new_session=True
        )
        self.wait()
        return self

    def wait(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.request("GET", "/v2/health/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError("the web process is not ready")

    def kill(self) -> None:
        """SIGKILL to the process and all its workers at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, parsed JSON, and headers with small names."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = json.dumps(body).encode() if isinstance(body, dict) else body
            client.request(method, path, data, headers or {})
            answer = client.getresponse()
            content = answer.read()
            names = {name.lower(): value for name, value in answer.getheaders()}
            is_json = names.get("content-type", "").startswith("application/json")
            return answer.status, json.loads(content) if is_json else content, names
        finally:
            client.close()

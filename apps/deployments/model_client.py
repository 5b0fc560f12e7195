"""Asks a replica for its health and for single predictions; not for the data plane."""

import http.client
import json
import socket
from typing import Any

MODEL_NAME = "model"
_LONGEST_ANSWER = 1024**2


class Unreachable(Exception):
    """The replica does not answer."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def readiness(address: str) -> tuple[str, str]:
    """`loading`, `ready` or `failed`, and a message. Raises Unreachable."""
    _, body = _call(address, "GET", "/v2/health/ready", None, timeout=2)
    return str(body.get("state", "loading")), str(body.get("message", ""))


def in_flight(address: str) -> int:
    """Requests that the replica is answering now. Raises Unreachable."""
    _, body = _call(address, "GET", "/metrics.json", None, timeout=2)
    return int(body.get("inFlight", 0))


def predict(address: str, instances: list[Any], *, timeout: float = 30) -> list[Any]:
    """Predictions of `instances`. Raises Unreachable, or ValueError with the replica's reason."""
    path = f"/v1/models/{MODEL_NAME}:predict"
    status, body = _call(address, "POST", path, {"instances": instances}, timeout=timeout)
    if status != 200:
        raise ValueError(str(body.get("error", f"status {status}")))
    predictions: list[Any] = body["predictions"]
    return predictions


def get(address: str, path: str, *, timeout: float = 2) -> tuple[int, Any]:
    """Status and JSON body of a GET; None for a body that is no JSON. Raises Unreachable."""
    connection = _connection(address, timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read(_LONGEST_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{address}: {error}") from error
    finally:
        connection.close()
    try:
        return answer.status, json.loads(content)
    except ValueError:
        return answer.status, None


def post(address: str, path: str, body: Any, *, timeout: float = 30) -> tuple[int, Any]:
    """Status and JSON body. Raises Unreachable."""
    return _call(address, "POST", path, body, timeout=timeout)


def _call(
    address: str, method: str, path: str, body: Any, *, timeout: float
) -> tuple[int, dict[str, Any]]:
    connection = _connection(address, timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{address}: {error}") from error
    finally:
        connection.close()


def _connection(address: str, timeout: float) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), timeout)
    host, _, port = address.removeprefix("http://").partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=timeout)

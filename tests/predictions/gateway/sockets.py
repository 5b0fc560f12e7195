"""Raw HTTP/1.1, for what no client library would send."""

import json
import socket
from typing import Any

from tests.predictions.gateway.conftest import Served


def head_of(served: Served, path: str = "", method: str = "POST", **headers: str) -> bytes:
    """A request's head with the token of `served`; further headers by name."""
    lines = [f"{method} {path or served.path} HTTP/1.1", "host: x"]
    lines += [f"authorization: Bearer {served.text}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Wire:
    """One connection to the web process."""

    def __init__(self, served: Served) -> None:
        self.socket = socket.create_connection(("127.0.0.1", served.server.port), timeout=30)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, has_body: bool = True) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of the next answer."""
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.file.read(int(headers.get("content-length", 0))) if has_body else b""
        return status, json.loads(body) if body else None, headers

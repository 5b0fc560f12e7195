"""Many connections that each send one request after another, and what they got."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httptools

from tests.predictions.gateway.conftest import CASE, Served


class Answer(NamedTuple):
    """One whole answer: when it came, how long it took, and what it said."""

    at: float
    took: float
    status: int
    body: Any


class Client(asyncio.Protocol):
    """One connection; keeps every whole answer in `answers`."""

    def __init__(self, request: bytes, answers: list[Answer]) -> None:
        self.request = request
        self.answers = answers
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.send()

    def send(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.sent = time.monotonic()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        now = time.monotonic()
        status = self.parser.get_status_code()
        self.answers.append(Answer(now, now - self.sent, status, json.loads(self.body)))
        # After a 503 a caller waits, though less than Retry-After asks for.
        pause = 0.1 if status == 503 else 0
        asyncio.get_running_loop().call_later(pause, self.send)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


def request_of(served: Served) -> bytes:
    body = json.dumps({"instances": [CASE]}).encode()
    return (
        f"POST {served.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.text}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


def storm(
    served: Served,
    clients: int,
    *,
    until: float,
    act: Callable[[], Any],
    after: float = 1.0,
    ports: tuple[int, ...] = (),
) -> list[Answer]:
    """Answers that `clients` connections got; `act` runs `until` seconds after their start, and
    `after` more pass before the end, unless the server closes all connections."""
    ports = ports or (served.server.port,)
    return asyncio.run(_storm(request_of(served), clients, until, act, after, ports))


async def _storm(
    request: bytes,
    clients: int,
    until: float,
    act: Callable[[], Any],
    after: float,
    ports: tuple[int, ...],
) -> list[Answer]:
    answers: list[Answer] = []
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Client(request, answers), "127.0.0.1", ports[number % len(ports)]
        )
        for number in range(clients)
    ]
    await asyncio.sleep(until)
    await asyncio.to_thread(act)
    await asyncio.wait([client.lost for _, client in made], timeout=after)
    for transport, _ in made:
        transport.abort()
    return answers

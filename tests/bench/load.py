"""A load generator on one event loop: kept-alive connections, one request after another on each."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httptools
import uvloop

Request = tuple[bytes, Any]
Check = Callable[[int, bytes, Any], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What one run saw. Latencies in milliseconds, of every answer within the time measured."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    answers: int


class _Connection(asyncio.Protocol):
    """Sends a request, checks its answer, sends the next, until told to stop."""

    def __init__(self, requests: Iterator[Request], check: Check, took: list[float]) -> None:
        self.requests = requests
        self.check = check
        self.took = took
        self.running = True
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.send()

    def send(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.sent = time.perf_counter()
        data, self.expected = next(self.requests)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except Exception as error:
            self._end(error)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.took.append(time.perf_counter() - self.sent)
        self.check(self.parser.get_status_code(), self.body, self.expected)
        if self.running:
            self.send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("the server closed the connection"))

    def _end(self, error: BaseException | None) -> None:
        if not self.ended.done():
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)
        self.transport.close()


async def _run(
    host: str,
    port: int,
    requests: Iterator[Request],
    check: Check,
    connections: int,
    seconds: float,
) -> Result:
    took: list[float] = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        (await loop.create_connection(lambda: _Connection(requests, check, took), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for each in made:
        each.running = False
    await asyncio.gather(*(each.ended for each in made))
    elapsed = time.perf_counter() - started
    took.sort()
    return Result(
        requests_per_second=len(took) / elapsed,
        p50_ms=1000 * took[len(took) // 2],
        p99_ms=1000 * took[min(len(took) - 1, int(len(took) * 0.99))],
        answers=len(took),
    )


def run(
    port: int, requests: Iterator[Request], check: Check, *, connections: int, seconds: float
) -> Result:
    """Loads a server on this machine with requests, each with what is expected of its answer.

    `check` gets status, body and expectation of every answer; what it raises ends the run.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run("127.0.0.1", port, requests, check, connections, seconds))


def http_request(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body

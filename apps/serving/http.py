"""A small HTTP/1.1 server on asyncio: kept-alive connections, pipelining, bounded bodies."""

import asyncio
import logging
import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import httptools
import orjson

from apps.serving.errors import ServingError

log = logging.getLogger(__name__)

HEADER_LENGTH = b"inference-header-content-length"
_LENGTH_OF_NAME = len(HEADER_LENGTH)
_LONGEST_URL = 8192

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(slots=True)
class Request:
    """One request with its whole body; `header_length` is V2's length of the JSON before bytes."""

    method: str
    path: str
    body: bytes
    header_length: bytes | None = None


@dataclass(slots=True)
class Response:
    """A status and a body: JSON, or `header_length` bytes of JSON and then raw ones."""

    status: int
    body: bytes
    header_length: int | None = None


Answer = Response | asyncio.Future[Response]
Handler = Callable[[Request], Answer]


class Connection(asyncio.Protocol):
    """One client. Answers leave in the order of the requests, also where these are pipelined.

    The handler gives a response or the future of one; a ServingError that it raises or that the
    future holds becomes a response with its status.
    """

    def __init__(self, handler: Handler, max_body_bytes: int, open_now: set["Connection"]) -> None:
        self.handler = handler
        self.max_body_bytes = max_body_bytes
        self.open_now = open_now
        self.answers: deque[Answer] = deque()
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.parser = httptools.HttpRequestParser(self)
        self.open_now.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_now.discard(self)
        for answer in self.answers:
            if isinstance(answer, asyncio.Future):
                answer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            if not self.closing:
                self._answer(_refusal(400, "This is not HTTP"), last=True)

    def eof_received(self) -> bool:
        """A client that has said all it will is still answered; one that is gone is not."""
        self.closing = True
        return bool(self.answers) and not _is_gone(self.transport)

    def on_message_begin(self) -> None:
        self.url = b""
        self.parts: list[bytes] = []
        self.size = 0
        self.header_length: bytes | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == _LENGTH_OF_NAME and name.lower() == HEADER_LENGTH:
            self.header_length = value

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > _LONGEST_URL and not self.closing:
            self._answer(_refusal(400, "The address is too long"), last=True)

    def on_body(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= self.max_body_bytes:
            self.parts.append(part)
        elif not self.closing:
            text = f"The body is larger than {self.max_body_bytes:,} bytes"
            self._answer(_refusal(413, text), last=True)

    def on_message_complete(self) -> None:
        if self.closing:
            return
        path = self.url.partition(b"?")[0].decode("latin-1")
        request = Request(
            self.parser.get_method().decode(), path, b"".join(self.parts), self.header_length
        )
        answer = self._handled(request)
        last = not self.parser.should_keep_alive()
        if isinstance(answer, Response):
            self._answer(answer, last=last)
        else:
            answer.add_done_callback(self._flush)
            self.answers.append(answer)
            self.closing = self.closing or last

    def _handled(self, request: Request) -> Answer:
        try:
            return self.handler(request)
        except ServingError as error:
            return _refusal(error.status, error.message)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return _refusal(500, "The model server failed; its log says why")

    def _answer(self, response: Response, *, last: bool) -> None:
        self.answers.append(response)
        self.closing = self.closing or last
        self._flush()

    def _flush(self, _: object = None) -> None:
        while self.answers:
            head = self.answers[0]
            if isinstance(head, asyncio.Future):
                if not head.done():
                    return
                if head.cancelled():
                    self.transport.close()
                    return
                head = _result(head)
            self.answers.popleft()
            self._write(head)
        if self.closing:
            self.transport.close()

    def _write(self, response: Response) -> None:
        reason = _REASONS.get(response.status, "Error")
        kind = "application/json"
        if response.header_length is not None:
            length = f"{HEADER_LENGTH.decode()}: {response.header_length}"
            kind = f"application/octet-stream\r\n{length}"
        head = (
            f"HTTP/1.1 {response.status} {reason}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(response.body)}\r\n"
        )
        if self.closing and not self.answers:
            head += "connection: close\r\n"
        self.transport.write(head.encode() + b"\r\n" + response.body)

    def finish(self) -> None:
        """Closes after the answers that are still due."""
        self.closing = True
        if not self.answers:
            self.transport.close()


def _is_gone(transport: asyncio.Transport) -> bool:
    """True where the other side has closed both ways, as far as the socket tells."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))


def _result(future: asyncio.Future[Response]) -> Response:
    try:
        return future.result()
    except ServingError as error:
        return _refusal(error.status, error.message)


def _refusal(status: int, text: str) -> Response:
    return Response(status, orjson.dumps({"error": text}))

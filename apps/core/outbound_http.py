"""HTTP calls outside, through the guard, with a limit of time and size for all of the answer."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urljoin, urlsplit

from apps.core.outbound import (
    CONNECT_SECONDS,
    OutboundRefused,
    TooLarge,
    TooSlow,
    Unreachable,
    connect,
    parts_of,
    port_of,
    reason_of,
    tls,
)

_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_CHUNK_BYTES = 256 * 1024
# What belongs to the place it was meant for, and to no other
_PERSONAL_HEADERS = {"authorization", "cookie", "proxy-authorization"}


@dataclass(slots=True)
class Answer:
    """What a place outside said; the body comes piece by piece, within the limits."""

    url: str
    status: int
    headers: Mapping[str, str]
    _response: HTTPResponse
    _watch: "_Watch"
    _max_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises TooLarge, TooSlow, Unreachable."""
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise self._too_large()
        size = 0
        with self._watch.translated(self.url):
            while chunk := self._response.read1(_CHUNK_BYTES):
                size += len(chunk)
                if size > self._max_bytes:
                    raise self._too_large()
                yield chunk
        if self._watch.expired:
            raise self._watch.too_slow(self.url)
        if declared.isdigit() and "content-encoding" not in self.headers and size < int(declared):
            raise Unreachable(f"{_host_of(self.url)} broke off after {size:,} bytes; try again.")

    def read(self) -> bytes:
        """The whole body. Raises as `chunks` does."""
        return b"".join(self.chunks())

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"What {_host_of(self.url)} sends is larger than {_readable(self._max_bytes)}, "
            "the limit here."
        )


@contextmanager
def open_url(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    seconds: float = 30,
    max_bytes: int = 10 * 1024**2,
    redirects: int = _MOST_REDIRECTS,
) -> Iterator[Answer]:
    """Asks `url` and gives the answer, whatever its status; `seconds` is for all of it.

    Redirects are followed to allowed addresses, without the headers that prove who asks where
    they lead to another origin, and never from https to http. Raises OutboundError.
    """
    watch = _Watch(seconds)
    sent = {"accept": "*/*", "user-agent": "deeploy", **_lowered(headers)}
    try:
        for _ in range(redirects + 1):
            response = watch.ask(url, method, sent, body)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location or not redirects:
                answered = _lowered(dict(response.headers))
                yield Answer(url, response.status, answered, response, watch, max_bytes)
                return
            after = _redirected(url, location)
            if response.status == 303 or (response.status in {301, 302} and method == "POST"):
                method, body = "GET", None
            if _origin(after) != _origin(url):
                sent = {name: sent[name] for name in sent if name not in _PERSONAL_HEADERS}
            url = after
        raise Unreachable(f"{_host_of(url)} redirects without end.")
    finally:
        watch.close()


class _Watch:
    """One call against the clock: shuts its socket when the time is over, however slowly the
    other side drips."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.expired = seconds, False
        self._deadline = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._response: HTTPResponse | None = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def ask(
        self, url: str, method: str, headers: Mapping[str, str], body: bytes | None
    ) -> HTTPResponse:
        """One request on a connection of its own."""
        self._disconnect()
        parts = parts_of(url)
        with self.translated(url):
            connection = self._connected(parts)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, dict(headers))
            self._response = connection.getresponse()
        if self.expired:
            raise self.too_slow(url)
        return self._response

    @contextmanager
    def translated(self, url: str) -> Iterator[None]:
        """Errors of the network become words for people."""
        try:
            yield
        except (OSError, HTTPException, ValueError) as error:
            if self.expired or isinstance(error, TimeoutError):
                raise self.too_slow(url) from error
            raise Unreachable(f"{_host_of(url)} cannot be asked: {reason_of(error)}.") from error

    def too_slow(self, url: str) -> TooSlow:
        return TooSlow(f"{_host_of(url)} did not finish within {self.seconds:g} seconds.")

    def close(self) -> None:
        """Ends the call, finished or not."""
        self._timer.cancel()
        self._disconnect()

    def _connected(self, parts: SplitResult) -> HTTPConnection:
        host, port = str(parts.hostname), port_of(parts)
        self._socket = connect(host, port, timeout=min(CONNECT_SECONDS, self._left()))
        self._socket.settimeout(self._left())
        kind: type[HTTPConnection] = HTTPConnection
        if parts.scheme == "https":
            kind = HTTPSConnection
            self._socket = tls().wrap_socket(self._socket, server_hostname=host)
        connection = kind(host, parts.port)
        connection.sock = self._socket
        return connection

    def _left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.01)

    def _expire(self) -> None:
        self.expired = True
        if self._socket is not None:
            _shut(self._socket)

    def _disconnect(self) -> None:
        if self._response is not None:
            self._response.close()
        if self._socket is not None:
            self._socket.close()
        self._response = self._socket = None


def _shut(connection: socket.socket) -> None:
    """Past the TLS layer, which another thread may be reading through."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _redirected(url: str, location: str) -> str:
    after = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(after).scheme == "http":
        raise OutboundRefused(f"{_host_of(url)} redirects from https to http, which is not safe.")
    return after


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = parts_of(url)
    return parts.scheme, parts.hostname, port_of(parts)


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or url


def _lowered(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


def _readable(size: int) -> str:
    for unit, factor in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"

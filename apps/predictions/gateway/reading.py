"""Reads a request's body: bounded in size, also after decompression, and in time."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from apps.predictions.gateway.errors import GatewayError

Receive = Callable[[], Awaitable[dict[str, Any]]]

_READ_ON = 10
_GZIP = 16 + zlib.MAX_WBITS
CLIENT_CLOSED = 499


async def read_body(receive: Receive, *, max_bytes: int, seconds: float) -> bytes:
    """The whole body. Raises GatewayError 413 for one that is too large, 408 for one that takes
    too long, 499 where the caller goes away.

    A body that is too large is read on for a while and thrown away, so that its sender gets to
    see the refusal instead of a closed connection.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        return body
    try:
        async with asyncio.timeout(seconds):
            return await _read_on(message, receive, max_bytes)
    except TimeoutError:
        text = f"The body did not arrive whole within {seconds:g} seconds."
        raise GatewayError(408, text) from None


async def _read_on(message: dict[str, Any], receive: Receive, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise GatewayError(CLIENT_CLOSED, "The caller went away before the body was whole.")
        part = message.get("body", b"")
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        elif parts:
            parts = []
        if not message.get("more_body") or size > max_bytes * _READ_ON:
            break
        message = await receive()
    if size > max_bytes:
        raise too_large(max_bytes)
    return b"".join(parts)


def decoded(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """The body without its Content-Encoding. Raises GatewayError: 415 for another one than gzip,
    400 for broken data, 413 for a body that would grow too large."""
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return body
    if kind not in ("gzip", "x-gzip"):
        text = f"The content encoding {kind[:40]} is not supported; send gzip or plain JSON."
        raise GatewayError(415, text)
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(body, max_bytes + 1)
    except zlib.error:
        raise GatewayError(400, "The body is not gzip, though Content-Encoding says so.") from None
    if len(plain) > max_bytes:
        raise too_large(max_bytes)
    if not stream.eof or stream.unused_data:
        raise GatewayError(400, "The gzip body is cut off, or more follows after its end.")
    return plain


def too_large(max_bytes: int) -> GatewayError:
    return GatewayError(413, f"The body is larger than {max_bytes:,} bytes.")

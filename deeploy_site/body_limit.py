"""Ends an upload at the limit while it arrives, before any of it is worked on or kept."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# What a form holds beside its files
_SPARE_BYTES = 8 * 1024**2


class BodyLimit:
    """Answers 413 to a request whose body is, or turns out to be, larger than uploads may be."""

    def __init__(self, pages: Any) -> None:
        self.pages = pages

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
            return
        limit = settings.UPLOAD_MAX_BYTES + _SPARE_BYTES
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(scope, send)
            return
        seen, over, answered = 0, False, False

        async def counted() -> Message:
            nonlocal seen, over
            message = await receive()
            seen += len(message.get("body") or b"")
            if seen > limit:
                over = True
                return {"type": "http.disconnect"}
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await self.pages(scope, counted, noted)
        if over and not answered:
            await _refuse(scope, send)


async def _refuse(scope: Message, send: Send) -> None:
    limit = settings.UPLOAD_MAX_BYTES // 1024**2
    text = (
        f"The file is larger than {limit:,} MB, the limit of this installation. Ask an "
        "administrator to raise UPLOAD_MAX_BYTES, or import the model from storage."
    )
    kind, body = b"text/plain; charset=utf-8", text.encode()
    if scope["path"].startswith("/workspaces"):
        kind = b"application/json"
        body = json.dumps({"statusCode": 413, "message": text}).encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""An upload beyond the limit ends while it arrives."""

from typing import Any

import pytest

from deeploy_site.body_limit import BodyLimit

_CHUNK = b"x" * 1024**2
_LIMIT_MB = 9  # a megabyte and what a form holds beside its files


async def _read_all(scope: Any, receive: Any, send: Any) -> None:
    """What Django does with a body; it gives up without an answer where the sender has gone."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def ask(chunks: int, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[list[Any], int]:
    """What is answered to a body of so many megabytes, and how many of them were taken."""
    taken, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": _CHUNK, "more_body": taken < chunks}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": headers}
    await BodyLimit(_read_all)(scope, receive, send)
    return sent, taken


@pytest.fixture(autouse=True)
def a_megabyte(settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 1024**2


async def test_a_declared_excess_is_refused_before_a_byte_is_taken() -> None:
    ten_gigabytes = [(b"content-length", str(10 * 1024**3).encode())]

    sent, taken = await ask(10_240, "/workspaces/w/models/m/versions", ten_gigabytes)

    assert (sent[0]["status"], taken) == (413, 0)
    assert b'"statusCode": 413' in sent[1]["body"]
    assert b"UPLOAD_MAX_BYTES" in sent[1]["body"]


async def test_an_excess_that_was_not_declared_ends_at_the_limit() -> None:
    sent, taken = await ask(10_240, "/w/w/models/new/", [])

    assert (sent[0]["status"], taken) == (413, _LIMIT_MB + 1)
    assert b"larger than 1 MB" in sent[1]["body"]


async def test_what_fits_passes() -> None:
    sent, taken = await ask(_LIMIT_MB, "/w/w/models/new/", [])

    assert (sent[0]["status"], taken) == (200, _LIMIT_MB)

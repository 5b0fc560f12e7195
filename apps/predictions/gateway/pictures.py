"""Explanations as a picture: whether a request asks for one, and the process that draws it."""

import asyncio
import base64
import logging
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson

from apps.deployments.wire import plain
from apps.predictions.gateway.errors import GatewayError

log = logging.getLogger(__name__)
_LENGTH = struct.Struct(">I")
_SECONDS = 20.0
_TRIES = 2
_MOST_PANELS = 12
_YES, _NO = {"true", "1"}, {"false", "0", ""}
_THEMES = ("light", "dark")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR", "MPLCONFIGDIR")
# What the official client says of itself: it reads JSON alone, and asks for nothing in particular.
_CLIENT = b"python-requests/"


@dataclass(frozen=True, slots=True)
class PictureWish:
    """A picture in these colours; as the whole answer, or inside of JSON."""

    theme: str
    in_json: bool

    @classmethod
    def of(cls, protocol: str, query: bytes, headers: dict[bytes, bytes]) -> "PictureWish | None":
        """None where `image` is not asked for. Raises GatewayError 400 for what means nothing."""
        asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        image = asked.get("image", ["false"])[-1].lower()
        if image in _NO:
            return None
        if image not in _YES:
            raise GatewayError(400, f"image is true or false, not {image[:20]}.")
        theme = asked.get("theme", ["light"])[-1]
        if theme not in _THEMES:
            raise GatewayError(400, f"theme is light or dark, not {theme[:20]}.")
        streams = asked.get("stream", ["false"])[-1].lower() in _YES
        return cls(theme, _wants_json(protocol, headers, streams=streams))

    def check(self, rows: int, methods: int) -> None:
        """Raises GatewayError 400 where the picture would have more panels than anybody reads."""
        if rows * methods > _MOST_PANELS:
            raise GatewayError(
                400,
                f"{rows:,} instances by {methods} methods are {rows * methods:,} panels; a picture "
                f"has at most {_MOST_PANELS}. Send fewer instances, pick a method by "
                "?explainer=NAME, or ask without image=true.",
            )

    def inside(self, picture: bytes) -> dict[str, Any]:
        """What stands in a JSON answer beside the explanations."""
        return {"image": base64.b64encode(picture).decode()}


def _wants_json(protocol: str, headers: dict[bytes, bytes], *, streams: bool) -> bool:
    """Whoever names JSON and no picture gets JSON. Who names neither gets the picture, but for the
    official client, which cannot read one unless it streams."""
    accept = headers.get(b"accept", b"*/*").lower()
    if b"image/" in accept:
        return False
    if b"application/json" in accept:
        return True
    agent = headers.get(b"user-agent", b"")
    return protocol == "deeploy" and agent.startswith(_CLIENT) and not streams


class Artist:
    """Asks the process that draws, which it starts when a picture is wanted and ends if it hangs.

    One picture after the other; who waits longer than the seconds allow is told so.
    """

    def __init__(self, module: str, folder: Path, seconds: float = _SECONDS) -> None:
        self.module, self.folder, self.seconds = module, folder, seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def draw(self, metadata: dict[str, Any], rows: list[dict[str, Any]], theme: str) -> bytes:
        """A PNG of the rows, `{"instance", "explanations"}` each. Raises GatewayError: 504 where it
        takes too long, 500 where it cannot be drawn."""
        asked = {"metadata": metadata, "rows": rows, "theme": theme}
        body = orjson.dumps(asked, default=plain)
        try:
            async with asyncio.timeout(self.seconds):
                async with self._turn:
                    answer = await self._asked(body)
        except TimeoutError:
            text = f"The picture was not drawn within {self.seconds:g} seconds; ask for fewer rows."
            raise GatewayError(504, text) from None
        if answer[:1] == b"\x01":
            return answer[1:]
        log.error("A picture could not be drawn: %s", answer[1:].decode(errors="replace"))
        raise GatewayError(
            500, "The explanation cannot be drawn. Ask without image=true for its numbers."
        )

    async def _asked(self, body: bytes) -> bytes:
        """The process's answer; another process is asked where one has ended meanwhile."""
        for _ in range(_TRIES):
            process = await self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            answered = False
            try:
                process.stdin.write(_LENGTH.pack(len(body)) + body)
                await process.stdin.drain()
                (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
                answer = await process.stdout.readexactly(length)
                answered = True
                return answer
            except (OSError, asyncio.IncompleteReadError):
                continue
            finally:
                if not answered:
                    self.close()
        return b"\x00the process ended"

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, stdin=pipe, stdout=pipe, cwd=self.folder,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
            )  # fmt: skip
        return self._process

    def close(self) -> None:
        """Ends the process; it holds nothing."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()

"""Log files of the child processes: kept small, and watched for errors."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_LARGEST_BYTES = 20 * 1024**2
_ERROR = re.compile(r"^.{0,48}\b(ERROR|CRITICAL|FATAL)\b")
_LONGEST_LINE = 300
_MOST_LINES, _PER_SECONDS = 5, 60.0


def rotate(directory: Path, *, largest_bytes: int = _LARGEST_BYTES) -> None:
    """Moves what large files hold to NAME.log.1. Writers append, so they go on at the start."""
    for path in directory.glob("*.log"):
        if path.stat().st_size > largest_bytes:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            with path.open("r+b") as file:
                file.truncate(0)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for a message."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class ErrorWatch:
    """Reads what was added to a log since the last look and picks the lines that are errors.

    Of many, the first five of a minute are shown: a broken database fills every log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = path.stat().st_size if path.exists() else 0
        self.shown = 0
        self.minute_ends = 0.0

    def news(self, now: float) -> list[str]:
        """The new errors that fit in this minute, and a word where there are more."""
        found = list(self._errors())
        if now >= self.minute_ends:
            self.shown, self.minute_ends = 0, now + _PER_SECONDS
        room = max(0, _MOST_LINES - self.shown)
        self.shown += len(found)
        more = [f"… more in {self.path}"] if len(found) > room > 0 else []
        return found[:room] + more

    def _errors(self) -> Iterator[str]:
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size < self.position:
            self.position = 0
        if size == self.position:
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            chunk = file.read(256 * 1024)
        complete = chunk[: chunk.rfind(b"\n") + 1] or (chunk if len(chunk) >= 65_536 else b"")
        self.position += len(complete)
        for line in complete.decode(errors="replace").splitlines():
            if _ERROR.search(line):
                yield line[:_LONGEST_LINE]

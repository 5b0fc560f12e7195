"""What a build says, in a file that a page follows while it grows; bounded."""

import os
from pathlib import Path
from types import TracebackType

from django.conf import settings

_MOST_BYTES = 2 * 1024**2
_KEPT_BYTES = 1024**2
_TAIL_BYTES = 128 * 1024


def path_of(digest: str, kind: str) -> Path:
    """Where the log of a build lies."""
    folder: Path = settings.VAR_DIR / "environments"
    return folder / f"{digest}.{kind}.log"


def tail(digest: str, kind: str, *, lines: int = 200) -> str:
    """The last lines of a build's log; empty where it has none."""
    try:
        with path_of(digest, kind).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class BuildLog:
    """A log that is written line by line. Beyond 2 MB the older half goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._file = path.open("w+b", buffering=0)

    def write(self, line: str) -> None:
        self._file.write(f"{line.rstrip()}\n".encode())
        if self._file.tell() > _MOST_BYTES:
            self._file.seek(-_KEPT_BYTES, os.SEEK_END)
            kept = self._file.read().partition(b"\n")[2]
            self._file.seek(0)
            self._file.truncate()
            self._file.write(b"Older lines were left out.\n" + kept)

    def __enter__(self) -> "BuildLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

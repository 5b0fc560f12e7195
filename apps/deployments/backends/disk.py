"""How much a model server has written, and when that is too much."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 1024**3
MOST_FILES = 10_000


def fault(pid: int, folders: list[Path]) -> str:
    """What the process `pid` has written too much of; empty where it keeps within its bounds."""
    used, files = _hidden_bytes(pid), 0
    for path in _files(folders):
        files += 1
        with suppress(OSError):
            used += os.lstat(path).st_blocks * 512
        if used > MOST_BYTES or files > MOST_FILES:
            break
    if used <= MOST_BYTES and files <= MOST_FILES:
        return ""
    return (
        f"The model server was ended because it wrote more than {MOST_BYTES // 1024**2:,} MB or "
        f"{MOST_FILES:,} files to its temporary directory. A model should write nothing while it "
        "serves."
    )


def _files(folders: list[Path]) -> Iterator[str]:
    for folder in folders:
        for parent, inner, names in os.walk(folder):
            yield from (os.path.join(parent, name) for name in [*inner, *names])


def _hidden_bytes(pid: int) -> int:
    """Bytes of files that a process has deleted and still holds open."""
    used = 0
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found = os.stat(entry.path)
                if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                    used += found.st_blocks * 512
    return used

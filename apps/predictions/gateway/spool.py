"""Records on disk while the database is away: one file of JSON lines per process, in order.

A file is locked while its process lives, so a later process can tell one that was left behind and
adopts it. A line counts only when it is on disk (fsync); lines share one fsync as records share a
commit. The folder and its files are for their owner alone: they hold inputs and salts.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import orjson

from apps.core.ids import uuid7
from apps.predictions.gateway.record import Leaf, leaf

log = logging.getLogger(__name__)

_SUFFIX = ".jsonl"


class SpoolFull(Exception):
    """The spool takes no more; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request with its predictions, as the log writer takes them."""

    request: Leaf
    predictions: Sequence[Leaf]

    def line(self) -> bytes:
        leaves = [self.request, *self.predictions]
        parts = [{"content": e.content, "salt": e.salt.hex()} for e in leaves]
        return orjson.dumps(parts, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def read(cls, line: bytes) -> "Entry":
        """Raises ValueError or KeyError for a line that was not written whole."""
        request, *predictions = [
            _leaf(part["content"], part["salt"]) for part in orjson.loads(line)
        ]
        return cls(request, predictions)


def _leaf(content: dict[str, object], salt: str) -> Leaf:
    return leaf(UUID(str(content["id"])), content, bytes.fromhex(salt))


@dataclass(slots=True)
class _File:
    path: Path
    descriptor: int
    size: int = 0


@dataclass(slots=True)
class Spool:
    """The files of this process and those that it adopted. Used from one event loop."""

    folder: Path
    max_bytes: int
    _current: _File | None = None
    _closed: list[_File] = field(default_factory=list)
    _pending: list[tuple[bytes, asyncio.Future[None]]] = field(default_factory=list)
    _size: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def append(self, entry: Entry) -> None:
        """Returns when the entry is on disk. Raises SpoolFull."""
        line = entry.line()
        if self._size + len(line) > self.max_bytes:
            raise SpoolFull("The spool for records is full.")
        self._size += len(line)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((line, future))
        async with self._lock:
            await self._flush()
        await future

    async def _flush(self) -> None:
        """Writes what waits; whoever comes first writes for all."""
        group, self._pending = self._pending, []
        if not group:
            return
        data = b"".join(line for line, _ in group)
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            self._size -= len(data)
            log.error("Records cannot be spooled: %s", error)
            for _, future in group:
                future.set_exception(SpoolFull(f"The spool cannot be written: {error.strerror}."))
            return
        for _, future in group:
            future.set_result(None)

    def _write(self, data: bytes) -> None:
        if self._current is None:
            self._current = _create(self.folder)
        file = self._current
        try:
            written = 0
            while written < len(data):
                written += os.write(file.descriptor, data[written:])
            os.fsync(file.descriptor)
        except OSError:
            # Half a line must not stand before a whole one.
            os.ftruncate(file.descriptor, file.size)
            raise
        file.size += len(data)

    async def take(self) -> list[Path]:
        """The files to replay, oldest first: our own, from now on closed, and abandoned ones."""
        async with self._lock:
            if self._current is not None:
                self._closed.append(self._current)
                self._current = None
            adopted = await asyncio.to_thread(_adopt, self.folder)
            self._size += sum(file.size for file in adopted)
            self._closed.extend(adopted)
        return sorted(file.path for file in self._closed)

    def drop(self, path: Path) -> None:
        """Removes a file whose entries are all in the database."""
        for file in [f for f in self._closed if f.path == path]:
            path.unlink(missing_ok=True)
            os.close(file.descriptor)
            self._size -= file.size
            self._closed.remove(file)

    def reject(self, line: bytes, reason: str) -> None:
        """Keeps aside what the database can never hold, for a person to look at."""
        log.error("A record was put aside into %s: %s", self.folder / "rejected", reason)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self.folder / "rejected", flags, 0o600)
        os.write(descriptor, line)
        os.close(descriptor)

    def close(self) -> None:
        """Lets go of all files; a later process adopts what is left."""
        for file in [*self._closed, *([self._current] if self._current else [])]:
            os.close(file.descriptor)
        self._closed, self._current = [], None


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of a file; a last one that was cut off was never acknowledged."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _create(folder: Path) -> _File:
    """A new file, locked. Somebody who looks for abandoned files may win the race for the lock."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    while True:
        path = folder / f"{uuid7()}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        if _locked(descriptor):
            parent = os.open(folder, os.O_RDONLY)
            os.fsync(parent)
            os.close(parent)
            return _File(path, descriptor)
        os.close(descriptor)


def _adopt(folder: Path) -> list[_File]:
    """Locks the files whose process has gone."""
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        if _locked(descriptor):
            found.append(_File(path, descriptor, os.fstat(descriptor).st_size))
        else:
            os.close(descriptor)
    return found


def _locked(descriptor: int) -> bool:
    """True where the lock is ours and the file was not removed in between."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0

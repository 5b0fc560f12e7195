"""Makes records durable: before the answer, or, for relaxed deployments, after it.

A relaxed record goes to the log writer without anybody waiting for it. Where the database is
away it goes to the spool on disk, and from there to the database as soon as that is back. Between
an answer and its commit a relaxed record lives in memory alone: a kill -9 in these milliseconds
loses it, which is what the choice means.
"""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import psycopg

from apps.predictions.gateway.record import Leaf
from apps.predictions.gateway.spool import Entry, Spool, SpoolFull, lines_of
from apps.predictions.gateway.writer import LogWriter, Unavailable, Unwritable

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_LINES_AT_ONCE = 500


class Recorder:
    """The log writer of a process and its spool."""

    def __init__(self, database_url: str, spool: Spool) -> None:
        self.database_url = database_url
        self.writer = LogWriter(database_url)
        self.spool = spool
        self._later: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.writer.start()
        self._task = asyncio.create_task(self._replay_often())

    async def close(self) -> None:
        """Writes what waits: to the database, or else to the spool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.writer.close()
        await asyncio.gather(*self._later)
        self.spool.close()

    async def keep(self, request: Leaf, predictions: Sequence[Leaf]) -> None:
        """Returns when the records are committed. Raises Unavailable."""
        await self.writer.submit(request, predictions)

    async def keep_later(self, request: Leaf, predictions: Sequence[Leaf]) -> None:
        """Returns at once, with the records on their way; without a database, when they are on
        disk. Raises Unavailable where the spool takes no more."""
        entry = Entry(request, predictions)
        try:
            committed = self.writer.submit(request, predictions)
        except Unavailable:
            try:
                await self.spool.append(entry)
            except SpoolFull as reason:
                raise Unavailable(f"The record's database is away. {reason}") from None
            return
        task = asyncio.create_task(self._see_to(committed, entry))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _see_to(self, committed: asyncio.Future[None], entry: Entry) -> None:
        """Follows a record whose answer has left, into the spool if need be."""
        try:
            await committed
        except Unwritable as reason:
            self.spool.reject(entry.line(), str(reason))
        except Unavailable:
            try:
                await self.spool.append(entry)
            except SpoolFull as reason:
                log.error("The record %s of an answer is lost: %s", entry.request.id, reason)

    async def _replay_often(self) -> None:
        while True:
            if self.writer.available:
                try:
                    await self.replay()
                except (Unavailable, psycopg.Error, OSError) as reason:
                    log.warning("Spooled records must wait: %s", reason)
                except Exception:
                    log.exception("Spooled records cannot be replayed")
            await asyncio.sleep(_LOOK_SECONDS)

    async def replay(self) -> None:
        """Brings spooled records into the database, in their order and each once."""
        for path in await self.spool.take():
            count = await self._replay_file(path)
            self.spool.drop(path)
            log.info("%d spooled records are in the database now", count)

    async def _replay_file(self, path: Path) -> int:
        count = 0
        lines = lines_of(path)
        while batch := list(itertools.islice(lines, _LINES_AT_ONCE)):
            entries = []
            for line in batch:
                try:
                    entries.append(Entry.read(line))
                except (ValueError, KeyError, TypeError) as error:
                    self.spool.reject(line, str(error))
            known = await self._known([entry.request.id for entry in entries])
            missing = [entry for entry in entries if entry.request.id not in known]
            await self._submit(missing)
            count += len(missing)
        return count

    async def _submit(self, entries: list[Entry]) -> None:
        waiting = [self.writer.submit(e.request, e.predictions) for e in entries]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for entry, result in zip(entries, results, strict=True):
            if isinstance(result, Unwritable):
                self.spool.reject(entry.line(), str(result))
            elif isinstance(result, BaseException):
                raise result

    async def _known(self, ids: list[UUID]) -> set[UUID]:
        """Those that are there: a commit whose answer was lost may have happened."""
        async with await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, connect_timeout=3
        ) as connection:
            query = "SELECT id FROM predictions_request WHERE id = ANY(%s)"
            rows = await (await connection.execute(query, [ids])).fetchall()
        return {row[0] for row in rows}

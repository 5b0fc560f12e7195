"""The group-commit log writer: an answer waits until its record is durable.

An idle writer commits at once; what arrives while it commits is the next group. A group is one
statement in one transaction: requests, predictions, their seal, and the writer's new head.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from apps.audit.chain import GENESIS, merkle_root, seal_hash
from apps.core.ids import uuid7
from apps.predictions.gateway.record import Leaf

log = logging.getLogger(__name__)

_LARGEST_GROUP = 2_000
_LONGEST_QUEUE = 20_000
_COMMIT_SECONDS = 5.0
# The server gives up before we do, so that a commit cannot happen after its refusal.
_STATEMENT_MS = 4_000
_RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)

_AT = "timestamptz 'epoch' + r.at * interval '1 microsecond'"
_WRITE = f"""
WITH requests AS (
  INSERT INTO predictions_request (id, deployment_id, revision_id, at, endpoint, protocol,
    status_code, error, duration_us, model_us, preprocess_us, postprocess_us, explain_us,
    caller_kind, caller_id, caller_name, content_type, count, envelope, body, salt, digest, writer,
    seal)
  SELECT r.id, r."deploymentId", r."revisionId", {_AT}, r.endpoint, r.protocol, r."statusCode",
    r.error, r."durationUs", r."modelUs", r."preprocessUs", r."postprocessUs", r."explainUs",
    r."callerKind", r."callerId", r."callerName", r."contentType", r.count, r.envelope, r.body,
    decode(r.salt, 'hex'), decode(r.digest, 'hex'), %(writer)s, %(number)s
  FROM json_to_recordset(%(requests)s::json) AS r(id uuid, "deploymentId" uuid,
    "revisionId" uuid, at bigint, endpoint text, protocol text, "statusCode" smallint, error text,
    "durationUs" int, "modelUs" int, "preprocessUs" int, "postprocessUs" int, "explainUs" int,
    "callerKind" text, "callerId" text, "callerName" text, "contentType" text, count int,
    envelope text, body text, salt text, digest text)
), predictions AS (
  INSERT INTO predictions_prediction (id, request_id, deployment_id, revision_id, at, position,
    input, output, outcome, score, custom_id, model_input, model_output, explanations, salt, digest,
    writer, seal)
  SELECT r.id, r."requestId", r."deploymentId", r."revisionId", {_AT}, r.position, r.input,
    r.output, r.outcome, r.score, r."customId", r."modelInput", r."modelOutput",
    r.explanations, decode(r.salt, 'hex'), decode(r.digest, 'hex'), %(writer)s, %(number)s
  FROM json_to_recordset(%(predictions)s::json) AS r(id uuid, "requestId" uuid,
    "deploymentId" uuid, "revisionId" uuid, at bigint, position int, input text, output text,
    outcome text, score text, "customId" text, "modelInput" text, "modelOutput" text,
    explanations text, salt text, digest text)
), seal AS (
  INSERT INTO audit_seal (writer_id, number, at, count, first_id, last_id, root, previous_hash,
    hash)
  VALUES (%(writer)s, %(number)s, %(at)s, %(count)s, %(first)s, %(last)s, %(root)s, %(previous)s,
    %(hash)s)
)
UPDATE audit_writer SET number = %(number)s, hash = %(hash)s
WHERE id = %(writer)s AND number = %(number)s - 1
"""  # noqa: S608  built from constants


class Unavailable(Exception):
    """The record could not be made durable; nothing may be answered."""


class Unwritable(Unavailable):
    """The database refuses this record itself; trying again does not help."""


@dataclass(slots=True)
class Waiting:
    """The records of one request and the future that their commit resolves."""

    request: Leaf
    predictions: Sequence[Leaf]
    committed: asyncio.Future[None]


@dataclass(slots=True)
class Counters:
    """What this writer has done since its start."""

    groups: int = 0
    requests: int = 0
    largest_group: int = 0
    failures: int = 0


@dataclass(slots=True)
class LogWriter:
    """One connection, one chain of seals. Start it inside a running event loop."""

    database_url: str
    id: UUID = field(default_factory=uuid7)
    counters: Counters = field(default_factory=Counters)
    number: int = 0
    hash: bytes = GENESIS
    _queue: list[Waiting] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    async def start(self) -> None:
        """Begins to write; connects in the background when the database is away."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Writes what waits, then ends."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    @property
    def available(self) -> bool:
        return self._connection is not None

    def submit(self, request: Leaf, predictions: Sequence[Leaf]) -> asyncio.Future[None]:
        """A future that is done when the records are durable. Raises Unavailable at once where
        the database is away or too much waits."""
        if self._connection is None:
            raise Unavailable("The record's database cannot be reached.")
        if len(self._queue) >= _LONGEST_QUEUE:
            raise Unavailable("Too many records wait to be written.")
        future = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(request, predictions, future))
        self._arrived.set()
        return future

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            if self._connection is None and not await self._connect():
                if self._closing:
                    break
                continue
            await self._arrived.wait()
            group, self._queue = self._queue[:_LARGEST_GROUP], self._queue[_LARGEST_GROUP:]
            if not self._queue:
                self._arrived.clear()
            if self._closing:
                self._arrived.set()
            if group:
                await self._write(group)
        self._refuse(self._queue, Unavailable("The gateway is closing."))
        if self._connection is not None:
            await self._connection.close()

    async def _write(self, group: list[Waiting]) -> None:
        if self._connection is None:
            self._refuse(group, Unavailable("The record could not be written."))
            return
        try:
            await asyncio.wait_for(self._commit(group), _COMMIT_SECONDS)
        except psycopg.DataError as error:
            # One record that the database cannot hold must not take the others with it.
            if len(group) == 1:
                log.error("A record was refused by the database: %s", error)
                self._refuse(group, Unwritable("The record could not be written."))
            else:
                for each in group:
                    await self._write([each])
            return
        except Exception as error:
            # Whatever it is: nobody may wait for ever, and the writer must go on.
            self.counters.failures += 1
            log.warning("A group of %d records was not committed: %r", len(group), error)
            await self._disconnect()
            self._refuse([*group, *self._queue], Unavailable("The record could not be written."))
            self._queue = []
            return
        self.counters.groups += 1
        self.counters.requests += len(group)
        self.counters.largest_group = max(self.counters.largest_group, len(group))
        for waiting in group:
            if not waiting.committed.done():
                waiting.committed.set_result(None)

    async def _commit(self, group: list[Waiting]) -> None:
        """Writes one group. The head is moved only from the number that this writer knows."""
        requests = [waiting.request for waiting in group]
        predictions = [leaf for waiting in group for leaf in waiting.predictions]
        leaves = sorted([*requests, *predictions], key=lambda leaf: leaf.id)
        at = datetime.now(UTC)
        root = merkle_root([leaf.digest for leaf in leaves])
        sealed = seal_hash(
            writer=self.id,
            number=self.number + 1,
            at=at,
            count=len(leaves),
            first_id=leaves[0].id,
            last_id=leaves[-1].id,
            root=root,
            previous_hash=self.hash,
        )
        assert self._connection is not None
        cursor = await self._connection.execute(
            _WRITE,
            {
                "requests": _rows(requests),
                "predictions": _rows(predictions),
                "writer": self.id,
                "number": self.number + 1,
                "at": at,
                "count": len(leaves),
                "first": leaves[0].id,
                "last": leaves[-1].id,
                "root": root,
                "previous": self.hash,
                "hash": sealed,
            },
            prepare=True,
        )
        if cursor.rowcount != 1:
            raise psycopg.DataError("the writer's head was moved by somebody else")
        self.number, self.hash = self.number + 1, sealed

    async def _connect(self) -> bool:
        """Connects and reads the head back: a commit whose answer was lost may have happened."""
        for wait in _RETRY_SECONDS:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self.database_url, autocommit=True, connect_timeout=3
                )
                await connection.execute(f"SET statement_timeout = {_STATEMENT_MS}")
                self.number, self.hash = await self._head(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("The log writer cannot connect: %s", str(error).splitlines()[0])
                if self._closing:
                    return False
                await asyncio.sleep(wait)
                continue
            self._connection = connection
            return True
        return False

    async def _head(
        self, connection: psycopg.AsyncConnection[tuple[object, ...]]
    ) -> tuple[int, bytes]:
        await connection.execute(
            "INSERT INTO audit_writer (id, started_at, number, hash, rolled_up) "
            "VALUES (%s, now(), 0, %s, 0) ON CONFLICT DO NOTHING",
            [self.id, GENESIS],
        )
        cursor = await connection.execute(
            "SELECT number, hash FROM audit_writer WHERE id = %s", [self.id]
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(str(row[0])), bytes(row[1])  # type: ignore[call-overload]

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await asyncio.wait_for(connection.close(), 1)
            except (psycopg.Error, TimeoutError, OSError):
                return

    @staticmethod
    def _refuse(waiting: Sequence[Waiting], reason: Unavailable) -> None:
        for each in waiting:
            if not each.committed.done():
                each.committed.set_exception(type(reason)(*reason.args))


def _rows(leaves: Sequence[Leaf]) -> str:
    """The records as a JSON array, each with its salt and digest in hexadecimal."""
    return (b"[" + b",".join([leaf.row for leaf in leaves]) + b"]").decode()

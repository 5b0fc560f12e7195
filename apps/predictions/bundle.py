"""Exports the record as a bundle that a stand-alone program checks: apps/audit/verify_bundle.py.

A ZIP of JSON lines, made while it is sent: events, seals, records with salts and contents,
checkpoints, and a signed manifest that names the chains' heads and each part's digest. The heads
are read first, and everything up to them is exported; chains only grow, so that is one state.
What the layers above add (`record_parts`) is held through the event that the manifest names.

A bundle of one workspace or deployment keeps the chain of events whole, with what is not in its
scope withheld (digests only), and gives each of its records the Merkle path to its seal's root.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.audit.chain import GENESIS, microseconds
from apps.audit.checkpoints import sign
from apps.audit.models import Checkpoint, Event, EventHead, Seal, Writer
from apps.audit.sentences import data_of
from apps.audit.services import content as event_content
from apps.core.canonical import canonical
from apps.predictions.bundle_records import Wanted, first_seals, record_lines
from apps.predictions.record_parts import Span, record_parts
from apps.predictions.verification import seal_batches

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Scope:
    """What a bundle holds: everything, a workspace, or a deployment; `since` a time, or all."""

    name: str = "the whole record"
    workspace: UUID | None = None
    deployment: UUID | None = None
    deployments: frozenset[UUID] | None = None
    since: datetime | None = None

    @property
    def kind(self) -> str:
        if self.deployment:
            return "deployment"
        return "workspace" if self.workspace else "all"

    def shows(self, event: Event) -> bool:
        if self.deployment:
            wanted = str(self.deployment)
            return event.object_id == wanted or data_of(event).get("deploymentId") == wanted
        return self.workspace in (None, event.workspace_id)


@dataclass(slots=True)
class _Sink:
    """Where the ZIP is written to: holds what was not yet sent."""

    parts: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Everything is in memory already."""

    def take(self) -> bytes:
        taken, self.parts = b"".join(self.parts), []
        return taken


def export(*, scope: Scope, by: Actor, now: datetime) -> Iterator[bytes]:
    """Records that the bundle leaves, and gives its bytes; the recording happens at once."""
    with transaction.atomic():
        audit.record(
            name="bundle.exported",
            by=by,
            workspace_id=scope.workspace,
            object_type=scope.kind if scope.workspace else "organisation",
            object_id=scope.deployment or scope.workspace or "",
            object_name=scope.name,
            data={"since": scope.since},
        )
    return _bundle(scope, by, now)


def _bundle(scope: Scope, by: Actor, now: datetime) -> Iterator[bytes]:
    sink = _Sink()
    files: dict[str, dict[str, Any]] = {}
    # What is bound or told of is read after what binds it or tells of it: checkpoints, then the
    # writers' heads and their records, what an event each binds, as far as the chain goes by then,
    # and then the events, which name every erasure.
    checkpoints = list(Checkpoint.objects.order_by("at").values_list("id", flat=True))
    wanted = Wanted(scope.deployments)
    writers = _writers(scope)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=5) as archive:  # type: ignore[call-overload]
        yield from _part(archive, sink, "seals.jsonl", _seals(writers), files)
        yield from _part(archive, sink, "records.jsonl", _records(writers, wanted), files)
        through = EventHead.objects.get(id=1).number
        first = _first_event(scope, through)
        span = Span(scope.deployments, first, through, scope.shows)
        for part in record_parts():
            yield from _part(archive, sink, f"{part.name}.jsonl", part.lines(span), files)
        head = EventHead.objects.get(id=1)
        events = _events(scope, first, head.number)
        yield from _part(archive, sink, "events.jsonl", events, files)
        yield from _part(archive, sink, "checkpoints.jsonl", _checkpoints(checkpoints), files)
        text = canonical(
            _manifest(scope, by, now)
            | {"events": _events_out(first, head), "files": files}
            | {"writers": [_writer_out(writer, start) for writer, start in writers]}
            | {"parts": {part.name: {"through": through} for part in record_parts()}}
        )
        public, signature = sign(text)
        archive.writestr("manifest.json", text)
        archive.writestr(
            "signature.json",
            canonical(
                {
                    "publicKey": base64.b64encode(public).decode(),
                    "signature": base64.b64encode(signature).decode(),
                }
            ),
        )
    yield sink.take()


def _manifest(scope: Scope, by: Actor, now: datetime) -> dict[str, Any]:
    """What the bundle is; its parts and the heads of its chains are added to it."""
    return {
        "format": "deeploy-bundle",
        "version": 1,
        "createdAt": now.isoformat(),
        "createdBy": by.name,
        "scope": {
            "kind": scope.kind,
            "id": str(scope.deployment or scope.workspace or ""),
            "name": scope.name,
            "since": scope.since.isoformat() if scope.since else None,
        },
    }


def _part(
    archive: zipfile.ZipFile,
    sink: _Sink,
    name: str,
    chunks: Iterable[list[dict[str, Any]]],
    files: dict[str, dict[str, Any]],
) -> Iterator[bytes]:
    """Writes one part, and notes its digest and its number of lines in `files`."""
    digest, lines = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as file:
        for rows in chunks:
            text = b"".join(orjson.dumps(row) + b"\n" for row in rows)
            digest.update(text)
            lines += len(rows)
            file.write(text)
            if sink.parts:
                yield sink.take()
    files[name] = {"sha256": digest.hexdigest(), "lines": lines}


def _first_event(scope: Scope, last: int) -> int:
    if scope.since is None:
        return 1
    found = Event.objects.filter(at__gte=scope.since).order_by("number").first()
    return found.number if found else last + 1


def _events_out(first: int, head: EventHead) -> dict[str, Any]:
    before = Event.objects.filter(number=first - 1).first()
    return {
        "from": first,
        "previousHash": bytes(before.hash).hex() if before else GENESIS.hex(),
        "number": head.number,
        "hash": bytes(head.hash).hex(),
    }


def _events(scope: Scope, first: int, last: int) -> Iterator[list[dict[str, Any]]]:
    number = first - 1
    while number < last:
        found = Event.objects.filter(number__gt=number, number__lte=last).order_by("number")
        rows = list(found[:_ROWS_AT_ONCE])
        if not rows:
            return
        yield [_event_out(event, withheld=not scope.shows(event)) for event in rows]
        number = rows[-1].number


def _event_out(event: Event, *, withheld: bool) -> dict[str, Any]:
    shown = event.salt is not None and not withheld
    return {
        "number": event.number,
        "digest": bytes(event.digest).hex(),
        "previousHash": bytes(event.previous_hash).hex(),
        "hash": bytes(event.hash).hex(),
        "salt": bytes(event.salt or b"").hex() if shown else None,
        "content": event_content(event) if shown else None,
        "withheld": withheld,
    }


def _writers(scope: Scope) -> list[tuple[Writer, int]]:
    """The writers of the scope's records, each with the first seal that the bundle holds."""
    starts = first_seals(scope.deployments, scope.since)
    writers = Writer.objects.order_by("started_at", "id")
    if starts is None:
        return [(writer, 1) for writer in writers]
    kept = [(writer, starts.get(writer.id)) for writer in writers]
    return [(writer, start) for writer, start in kept if start and start <= writer.number]


def _writer_out(writer: Writer, start: int) -> dict[str, Any]:
    before = Seal.objects.filter(writer=writer, number=start - 1).first()
    return {
        "writer": str(writer.id),
        "startedAt": writer.started_at.isoformat(),
        "from": start,
        "previousHash": bytes(before.hash).hex() if before else GENESIS.hex(),
        "number": writer.number,
        "hash": bytes(writer.hash).hex(),
    }


def _seals(writers: list[tuple[Writer, int]]) -> Iterator[list[dict[str, Any]]]:
    for writer, start in writers:
        for seals in seal_batches(writer.id, start, writer.number):
            yield [_seal_out(seal) for seal in seals]


def _seal_out(seal: Seal) -> dict[str, Any]:
    return {
        "writer": str(seal.writer_id),
        "number": seal.number,
        "at": microseconds(seal.at),
        "count": seal.count,
        "firstId": str(seal.first_id),
        "lastId": str(seal.last_id),
        "root": bytes(seal.root).hex(),
        "previousHash": bytes(seal.previous_hash).hex(),
        "hash": bytes(seal.hash).hex(),
    }


def _records(writers: list[tuple[Writer, int]], wanted: Wanted) -> Iterator[list[dict[str, Any]]]:
    for writer, start in writers:
        for seals in seal_batches(writer.id, start, writer.number):
            yield record_lines(writer, seals, wanted)


def _checkpoints(identifiers: list[UUID]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(identifiers), _ROWS_AT_ONCE):
        wanted = identifiers[start : start + _ROWS_AT_ONCE]
        yield [
            {
                "id": str(checkpoint.id),
                "content": checkpoint.content,
                "publicKey": base64.b64encode(bytes(checkpoint.public_key)).decode(),
                "signature": base64.b64encode(bytes(checkpoint.signature)).decode(),
            }
            for checkpoint in Checkpoint.objects.filter(id__in=wanted).order_by("at")
        ]

"""Writes events as CSV or JSON lines, some rows at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import orjson
from django.db.models import QuerySet

from apps.audit.models import Event
from apps.audit.selectors import in_chunks
from apps.audit.sentences import sentence
from apps.dashboard.audit_wire import event_out

FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
_COLUMNS = (
    "number", "at", "name", "sentence", "actorKind", "actorId", "actorName", "objectType",
    "objectId", "objectName", "data", "digest", "previousHash", "hash",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def lines(found: QuerySet[Event], form: str) -> Iterator[bytes]:
    """The events newest first; `form` is a key of FORMATS."""
    if form == "jsonl":
        for chunk in in_chunks(found):
            yield b"".join(orjson.dumps(event_out(event)) + b"\n" for event in chunk)
        return
    yield _csv([_COLUMNS])
    for chunk in in_chunks(found):
        yield _csv(_row(event) for event in chunk)


def _row(event: Event) -> list[str]:
    shown = event_out(event) | {"sentence": sentence(event), "data": event.data or ""}
    return [_cell(shown[column]) for column in _COLUMNS]


def _cell(value: object) -> str:
    """Text that a spreadsheet does not take for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()

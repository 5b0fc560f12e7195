"""The log as a file, in bounded memory: a page of rows at a time, by id, never by offset."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from asgiref.sync import sync_to_async

from apps.predictions.found import Found
from apps.predictions.models import PredictionRecord

_ROWS_AT_ONCE = 500
_COLUMNS = ("id", "time", "outcome", "probability", "customId", "revision", "caller", "requestId")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Pages = AsyncIterator[list[PredictionRecord]]


async def pages_of(found: Found) -> Pages:
    """The rows newest first. Each page is a query of its own, so nothing is held in between."""
    before = None
    while True:
        rows = await sync_to_async(found.within(before=before).first)(_ROWS_AT_ONCE)
        if rows:
            yield rows
        if len(rows) < _ROWS_AT_ONCE:
            return
        before = rows[-1].id


async def as_csv(pages: Pages, features: list[str]) -> AsyncIterator[bytes]:
    """A line per prediction: what is known of it, its features in their order, its output."""
    yield _line([*_COLUMNS, *features, "output"])
    async for rows in pages:
        yield b"".join(_line(_values(row, features)) for row in rows)


async def as_json_lines(pages: Pages, features: list[str]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield b"".join(_object(row) for row in rows)


WRITERS: dict[str, tuple[str, Callable[[Pages, list[str]], AsyncIterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "jsonl": ("application/jsonl", as_json_lines),
}


def _known(row: PredictionRecord) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "time": row.at.isoformat(),
        "outcome": row.outcome,
        "probability": float(row.score) if row.score else None,
        "customId": row.custom_id,
        "revision": row.revision.number if row.revision else None,
        "caller": row.request.caller_name,
        "requestId": str(row.request_id),
    }


def _values(row: PredictionRecord, features: list[str]) -> list[Any]:
    given = row.input_value
    if isinstance(given, list):
        given = dict(zip(features, given, strict=False))
    inputs = given if isinstance(given, dict) else {}
    return [*_known(row).values(), *(inputs.get(name) for name in features), row.output]


def _object(row: PredictionRecord) -> bytes:
    content = _known(row) | {"input": row.input_value, "output": row.output_value}
    content["erased"] = row.salt is None
    content["withheld"] = row.is_withheld
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def _line(values: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([_cell(value) for value in values])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is made plain by a leading quote."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

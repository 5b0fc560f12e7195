"""Tables as CSV files, for people and their spreadsheets."""

import csv
import io
from collections.abc import Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV. Text that a spreadsheet would take for a formula gets an apostrophe."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(heads)
    writer.writerows([_safe(value) for value in row] for row in rows)
    return target.getvalue().encode()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

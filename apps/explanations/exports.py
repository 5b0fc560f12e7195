"""Charts as files: a table as CSV, a picture as PNG."""

import csv
import io
from typing import Any

from django.http import Http404, HttpResponse

from apps.explanations.pictures import THEMES, png

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(heads: list[str], rows: list[list[Any]]) -> bytes:
    """A table as CSV. Text that a spreadsheet would take for a formula gets an apostrophe."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(heads)
    writer.writerows([_safe(value) for value in row] for row in rows)
    return target.getvalue().encode()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def file_of(chart: Any, title: str, kind: str, name: str, theme: str) -> HttpResponse:
    """The download of a chart: `kind` is csv or png. Raises Http404 for others."""
    if kind == "csv":
        content, content_type = csv_of(*chart.table()), "text/csv; charset=utf-8"
    elif kind == "png" and theme in THEMES:
        content, content_type = png(chart, title, theme), "image/png"
    else:
        raise Http404("A chart leaves as csv or png, in light or dark.")
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response

"""Charts as files: a table as CSV, a picture as PNG."""

from typing import Any

from django.http import Http404, HttpResponse

from apps.core.tables import csv_of
from apps.explanations.pictures import THEMES, png


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

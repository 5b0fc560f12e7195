"""Charts as files and figures: a table as CSV, a picture as PNG, a page to zoom and point in."""

from functools import partial
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from apps.core.palette import THEMES
from apps.core.plots import figure_page
from apps.core.tables import csv_of
from apps.explanations.figures import figure
from apps.explanations.pictures import png


def file_of(request: HttpRequest, chart: Any, title: str, kind: str, name: str) -> HttpResponse:
    """A chart as `kind`: csv and png are downloads, html is its figure. Raises Http404 for
    others."""
    theme = request.GET.get("theme", "light")
    if kind == "html":
        return figure_page(request, partial(figure, chart), title)
    if kind == "csv":
        content, content_type = csv_of(*chart.table()), "text/csv; charset=utf-8"
    elif kind == "png" and theme in THEMES:
        content, content_type = png(chart, title, theme), "image/png"
    else:
        raise Http404("A chart leaves as csv, png or html, in light or dark.")
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response

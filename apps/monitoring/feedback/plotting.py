"""Charts of feedback as figures of plotly."""

from typing import Any

from apps.core.palette import Theme
from apps.core.plots import height_of, intervals, name_rows, plain
from apps.monitoring.feedback.drawing import Chart, Row

_MOST_TICKS = 12
Point = tuple[float | None, float | None, float | None]


def figure(chart: Chart, theme: Theme) -> Any:
    """The `plotly.graph_objects.Figure` of a chart: points with their intervals, over time from
    left to right, else in rows."""
    from plotly.graph_objects import Figure

    series = [(chart.measure, "accent", [_own(row) for row in chart.rows])]
    if chart.other:
        series.append((chart.other, "plus", [_other(row) for row in chart.rows]))
    made = Figure([_points(chart, *each, theme) for each in series])
    values = {"title_text": plain(chart.measure), "rangemode": "tozero"}
    if chart.is_share:
        values["tickformat"] = ".0%"
    if chart.is_line:
        made.update_yaxes(**values)
        step = max(1, -(-len(chart.rows) // _MOST_TICKS))
        labels = [plain(row.label) for row in chart.rows]
        places = list(range(len(labels)))
        made.update_xaxes(tickvals=places[::step], ticktext=labels[::step], showgrid=False)
        return made.update_layout(height=height_of(0), showlegend=len(series) > 1)
    made.update_xaxes(**values)
    name_rows(made, [row.label for row in chart.rows], across=chart.measure)
    return made.update_layout(showlegend=len(series) > 1)


def _own(row: Row) -> Point:
    return row.value, row.low, row.high


def _other(row: Row) -> Point:
    return row.other, row.other_low, row.other_high


def _points(chart: Chart, name: str, colour: str, points: list[Point], theme: Theme) -> Any:
    from plotly.graph_objects import Scatter

    known = [
        (at, value, low, high) for at, (value, low, high) in enumerate(points) if value is not None
    ]
    places = [at for at, *_ in known]
    values = [value for _, value, _, _ in known]
    interval = intervals([(value, low, high) for _, value, low, high in known], theme[colour])
    words = [
        [plain(chart.rows[at].label), _said(chart, value, low, high), f"{chart.rows[at].n:,}"]
        for at, value, low, high in known
    ]
    across = chart.is_line
    return Scatter(
        name=plain(name),
        mode="lines+markers" if across else "markers",
        x=places if across else values,
        y=values if across else places,
        error_y=interval if across else None,
        error_x=None if across else interval,
        line={"color": theme[colour], "width": 2},
        marker={"color": theme[colour], "size": 8},
        customdata=words,
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>{plain(name)} %{{customdata[1]}}"
        "<br>%{customdata[2]} cases<extra></extra>",
    )


def _said(chart: Chart, value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return chart.said(value)
    return f"{chart.said(value)} ({chart.said(low)} to {chart.said(high)})"

"""Charts as figures of plotly: to zoom, to point at, with every row that the short picture leaves
out."""

from functools import singledispatch
from typing import Any

from apps.core.palette import Theme
from apps.core.plots import colour_bar, height_of, intervals, name_rows, plain
from apps.explanations.drawing import (
    Bar,
    Curve,
    HeatMap,
    PairedRanking,
    Ranking,
    Swarm,
    Waterfall,
    category_bars,
)
from apps.explanations.interactions import InteractionMap
from apps.explanations.words import cut, percent, plain_number, signed

_LONGEST_LABEL = 34
_SPREAD = 11


@singledispatch
def figure(chart: Any, theme: Theme) -> Any:
    """The `plotly.graph_objects.Figure` of a chart. Raises TypeError for what has none."""
    raise TypeError(f"{type(chart).__name__} has no figure")


@figure.register
def _(chart: Waterfall, theme: Theme) -> Any:
    from plotly.graph_objects import Bar as Bars
    from plotly.graph_objects import Figure

    names = [bar.named for bar in chart.every]
    drawn = Bars(
        orientation="h",
        y=list(range(len(names))),
        x=[bar.end - bar.start for bar in chart.every],
        base=[bar.start for bar in chart.every],
        marker={"color": [theme[bar.kind] for bar in chart.every]},
        customdata=[
            [plain(name), bar.shown, plain_number(bar.end)]
            for name, bar in zip(names, chart.every, strict=True)
        ],
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{customdata[1]}} {plain(chart.unit)}"
        "<br>then at %{customdata[2]}<extra></extra>",
    )
    made = Figure(drawn)
    ends = ((chart.base, f"start {chart.base_shown}"), (chart.prediction, chart.prediction_shown))
    for value, text in ends:
        made.add_vline(x=value, line={"color": theme["ink-2"], "width": 1, "dash": "dot"})
        made.add_annotation(
            x=value, y=1, yref="paper", yanchor="bottom", text=plain(text), showarrow=False
        )
    return _rows(made, names, chart.unit)


@figure.register
def _(chart: Ranking, theme: Theme) -> Any:
    from plotly.graph_objects import Figure

    made = Figure(_bars(list(chart.bars), chart.unit, theme["accent"], theme))
    return _rows(made, [bar.label for bar in chart.bars], chart.unit)


@figure.register
def _(chart: PairedRanking, theme: Theme) -> Any:
    from plotly.graph_objects import Figure

    sides = zip(*(both for _, *both in chart.rows), strict=True)
    colours = (theme["accent"], theme["plus"])
    made = Figure(
        [
            _bars(list(bars), chart.unit, colour, theme, name)
            for name, colour, bars in zip(chart.names, colours, sides, strict=True)
        ]
    )
    made.update_layout(barmode="group")
    return _rows(made, [label for label, *_ in chart.rows], chart.unit, each=2)


@figure.register
def _(chart: Swarm, theme: Theme) -> Any:
    from plotly.graph_objects import Figure, Scatter

    dots = [(at, x, rank) for at, (_, row) in enumerate(chart.rows) for x, rank in row]
    labels = [plain(label) for label, _ in chart.rows]
    made = Figure(
        Scatter(
            mode="markers",
            x=[x for _, x, _ in dots],
            y=[at + ((i * 7) % _SPREAD - _SPREAD // 2) / 16 for i, (at, _, _) in enumerate(dots)],
            marker={
                "size": 6,
                "color": [0.5 if rank is None else rank for _, _, rank in dots],
                "colorscale": [[0, theme["minus"]], [0.5, theme["ink-2"]], [1, theme["plus"]]],
                "cmin": 0,
                "cmax": 1,
                "opacity": 0.75,
                "colorbar": colour_bar("Value") | {"tickvals": [0, 1], "ticktext": ["low", "high"]},
            },
            customdata=[
                [labels[at], signed(x), "no order" if rank is None else f"at {percent(rank)}"]
                for at, x, rank in dots
            ],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{customdata[1]}} {plain(chart.unit)}"
            "<br>value %{customdata[2]} of its range<extra></extra>",
        )
    )
    made.add_vline(x=0, line={"color": theme["ink-2"], "width": 1})
    return _rows(made, [label for label, _ in chart.rows], chart.unit, each=2)


@figure.register
def _(chart: Curve, theme: Theme) -> Any:
    return _line(chart, theme) if chart.is_line else _categories(chart, theme)


@figure.register
def _(chart: InteractionMap, theme: Theme) -> Any:
    from plotly.graph_objects import Figure, Heatmap

    size = len(chart.labels)
    values: list[list[float | None]] = [[None] * size for _ in range(size)]
    words = [[""] * size for _ in range(size)]
    for (row, column), pair in chart.pairs.items():
        values[row][column] = pair.size
        words[row][column] = (
            f"<b>{plain(pair.words)}</b><br>{plain_number(pair.size)} {plain(chart.unit)}"
            f"<br>{percent(pair.share)} of what the two do"
        )
    labels = [plain(_cut(label)) for label in chart.labels]
    made = Figure(
        Heatmap(
            z=values,
            text=words,
            hoverongaps=False,
            xgap=2,
            ygap=2,
            colorscale=[[0, theme["rule"]], [1, theme["accent"]]],
            hovertemplate="%{text}<extra></extra>",
            colorbar=colour_bar(chart.unit),
        )
    )
    made.update_xaxes(tickvals=list(range(size)), ticktext=labels, showgrid=False, tickangle=-40)
    return _rows(made, list(chart.labels), "").update_yaxes(showgrid=False)


@figure.register
def _(chart: HeatMap, theme: Theme) -> Any:
    from plotly.graph_objects import Figure, Heatmap

    most = chart.largest or 1.0
    ends = (theme["minus"], theme["surface"], theme["plus"])
    scale = [[at / 2, colour] for at, colour in enumerate(ends)]
    given = chart.given or [[None] * chart.wide] * chart.high
    words = [
        [
            f"row {row}, column {column}<br>input "
            f"{'unknown' if known is None else plain_number(known)}<br>{chart.said(value)}"
            for column, (value, known) in enumerate(zip(line, over, strict=True), start=1)
        ]
        for row, (line, over) in enumerate(zip(chart.values, given, strict=True), start=1)
    ]
    made = Figure(
        Heatmap(
            z=chart.values,
            text=words,
            zmin=-most,
            zmax=most,
            colorscale=scale,
            hovertemplate="%{text}<extra></extra>",
            colorbar=colour_bar(chart.unit),
        )
    )
    made.update_xaxes(visible=False, constrain="domain")
    made.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")
    return made.update_layout(height=height_of(0))


def _line(chart: Curve, theme: Theme) -> Any:
    """Single cases faintly, averages above them, and where this case stands."""
    from plotly.graph_objects import Figure, Scatter

    many = len(chart.single) > 1
    made = Figure()
    for at, line in enumerate(chart.single):
        name = "single cases" if many else "this case"
        made.add_trace(
            Scatter(
                x=chart.grid,
                y=line,
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=at == 0,
                line={"color": theme["ink-2"] if many else theme["plus"], "width": 1},
                opacity=0.35 if many else 1,
                hoverinfo="skip" if many else None,
            )
        )
    averages = [(twin, name, theme["plus"], "dash") for name, twin in chart.twins]
    averages.append((chart, chart.own or "average", theme["accent"], "solid"))
    for each, name, colour, dash in averages:
        made.add_trace(
            Scatter(
                x=each.grid,
                y=each.average,
                mode="lines",
                name=plain(name),
                line={"color": colour, "width": 2.5, "dash": dash},
                customdata=[chart.said(y) for y in each.average],
                hovertemplate=f"{plain(name)}: %{{customdata}}<extra></extra>",
            )
        )
    if isinstance(chart.here, int | float):
        made.add_vline(x=chart.here, line={"color": theme["ink-2"], "width": 1, "dash": "dot"})
    made.update_xaxes(title_text=plain(chart.label))
    made.update_yaxes(title_text=plain(chart.unit))
    return made.update_layout(hovermode="x unified", height=height_of(0))


def _categories(chart: Curve, theme: Theme) -> Any:
    from plotly.graph_objects import Figure

    rows = category_bars(chart)
    names = [chart.own or "average", *(name for name, _ in chart.twins)]
    colours = (theme["accent"], theme["plus"], theme["minus"])
    made = Figure(
        [
            _bars([bars[at] for _, _, bars in rows], chart.unit, colours[at % 3], theme, name)
            for at, name in enumerate(names)
        ]
    )
    made.update_layout(barmode="group", showlegend=len(names) > 1)
    labels = [f"{label} ({note})" if note else label for label, note, _ in rows]
    return _rows(made, labels, chart.unit, each=len(names))


def _bars(
    bars: list[Bar | None], unit: str, colour: str, theme: Theme, name: str | None = None
) -> Any:
    """Bars of rows from nothing, with the interval of each that has one."""
    from plotly.graph_objects import Bar as Bars

    known = [(at, bar) for at, bar in enumerate(bars) if bar is not None]
    return Bars(
        orientation="h",
        name=None if name is None else plain(name),
        y=[at for at, _ in known],
        x=[bar.part for _, bar in known],
        marker={"color": colour},
        error_x=intervals([(bar.part, bar.low, bar.high) for _, bar in known], theme["ink"]),
        customdata=[[plain(bar.label), _said(bar)] for _, bar in known],
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{customdata[1]}} {plain(unit)}<extra>"
        f"{plain(name or '')}</extra>",
    )


def _said(bar: Bar) -> str:
    if bar.low is None or bar.high is None:
        return bar.number
    return f"{bar.number} ({plain_number(bar.low)} to {plain_number(bar.high)})"


def _rows(made: Any, labels: list[str], unit: str, *, each: int = 1) -> Any:
    return name_rows(made, [_cut(label) for label in labels], across=unit, each=each)


def _cut(text: str) -> str:
    return cut(text, _LONGEST_LABEL)

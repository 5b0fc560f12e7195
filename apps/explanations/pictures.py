"""Charts as PNG files, with the colours of the pages; drawn by matplotlib, which lime brings."""

import io
from functools import singledispatch
from typing import Any

from apps.explanations.comparison import PairedRanking
from apps.explanations.drawing import Bar, Curve, Ranking, Swarm, Waterfall, category_bars
from apps.explanations.heat import HeatMap
from apps.explanations.words import plain_number

THEMES = {
    "light": {
        "surface": "#ffffff",
        "ink": "#1c2430",
        "ink-2": "#545d6b",
        "rule": "#e4e0d8",
        "rule-strong": "#cfc9bd",
        "accent": "#1f4e8c",
        "plus": "#b4532a",
        "minus": "#2b6ca3",
    },
    "dark": {
        "surface": "#1b1e24",
        "ink": "#e8eaee",
        "ink-2": "#a5adba",
        "rule": "#2c313a",
        "rule-strong": "#3c434f",
        "accent": "#8ab4f0",
        "plus": "#f0a27a",
        "minus": "#7fb6e6",
    },
}
_DPI, _WIDTH_INCHES, _ROW_INCHES = 160, 8.0, 0.38
_LABEL = 42

Theme = dict[str, str]


def png(chart: Any, title: str, theme: str = "light") -> bytes:
    """The picture of a chart. Raises TypeError for what is no chart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = THEMES[theme]
    rows = _rows(chart)
    height = 1.2 + _ROW_INCHES * rows if rows else 4.0
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, facecolor=colours["surface"])
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _dress(axes, colours, title)
    _draw(chart, axes, colours)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _rows(chart: Any) -> int:
    """How many rows a chart of rows has; 0 where it is none."""
    if isinstance(chart, Waterfall):
        return len(chart.bars) + 2
    if isinstance(chart, Ranking):
        return len(chart.bars)
    if isinstance(chart, Swarm):
        return len(chart.rows)
    if isinstance(chart, HeatMap):
        return len(chart.labels) + 1
    if isinstance(chart, PairedRanking):
        return 2 * len(chart.rows)
    return 0 if chart.is_line else len(chart.points)


def _dress(axes: Any, colours: Theme, title: str) -> None:
    axes.set_facecolor(colours["surface"])
    axes.set_title(title, loc="left", color=colours["ink"], fontsize=11, fontweight="bold")
    axes.tick_params(colors=colours["ink-2"], labelsize=8.5, length=0)
    axes.grid(axis="x", color=colours["rule"], linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colours["rule-strong"])


@singledispatch
def _draw(chart: Any, axes: Any, colours: Theme) -> None:
    raise TypeError(f"{type(chart).__name__} is no chart")


@_draw.register
def _(chart: Waterfall, axes: Any, colours: Theme) -> None:
    names = [f"Start {chart.base_shown}"]
    names += [_cut(f"{b.label}: {b.note}" if b.note else b.label) for b in chart.bars]
    for at, bar in enumerate(chart.bars, start=1):
        axes.barh(at, bar.end - bar.start, left=bar.start, color=colours[bar.kind], height=0.62)
        axes.text(
            max(bar.start, bar.end),
            at,
            f"  {bar.shown}",
            va="center",
            color=colours["ink-2"],
            fontsize=8,
        )
    for value in (chart.base, chart.prediction):
        axes.axvline(value, color=colours["ink-2"], linewidth=0.9, linestyle=(0, (3, 2)))
    _label_rows(axes, [*names, f"Prediction {chart.prediction_shown}"])
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)
    axes.margins(x=0.12)


@_draw.register
def _(chart: Ranking, axes: Any, colours: Theme) -> None:
    _bars(axes, [[bar] for bar in chart.bars], colours)
    _label_rows(axes, [_cut(bar.label) for bar in chart.bars])
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)


@_draw.register
def _(chart: Swarm, axes: Any, colours: Theme) -> None:
    for at, (_, dots) in enumerate(chart.rows):
        shades = [_shade(rank) for _, rank in dots]
        spread = [at + ((i * 7) % 11 - 5) / 22 for i in range(len(dots))]
        axes.scatter(
            [x for x, _ in dots], spread, s=9, alpha=shades, color=colours["accent"], linewidths=0
        )
    axes.axvline(0, color=colours["ink-2"], linewidth=0.9)
    _label_rows(axes, [_cut(label) for label, _ in chart.rows])
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)


def _shade(rank: float | None) -> float:
    return 0.5 if rank is None else 0.2 + 0.8 * rank


@_draw.register
def _(chart: HeatMap, axes: Any, colours: Theme) -> None:
    axes.grid(visible=False)
    for (row, column), pair in chart.pairs.items():
        depth = pair.size / chart.most if chart.most else 0.0
        axes.bar(column, 0.94, bottom=row - 0.47, width=0.94, color=colours["accent"], alpha=depth)
        ink = colours["surface"] if depth > 0.55 else colours["ink"]
        shown = plain_number(pair.size)
        axes.text(column, row, shown, ha="center", va="center", color=ink, fontsize=7.5)
    count = len(chart.labels)
    _label_rows(axes, [f"{at}  {_cut(label)}" for at, label in enumerate(chart.labels, start=1)])
    axes.set_xticks(range(count), range(1, count + 1))
    axes.set_xlim(-0.6, count - 0.4)
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)


@_draw.register
def _(chart: Curve, axes: Any, colours: Theme) -> None:
    if not chart.is_line:
        rows = category_bars(chart)
        _bars(axes, [bars for _, _, bars in rows], colours)
        _label_rows(axes, [_cut(label) for label, _, _ in rows])
        axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)
        return
    axes.grid(axis="y", color=colours["rule"], linewidth=0.7)
    faint = 0.25 if len(chart.single) > 1 else 1.0
    for line in chart.single:
        axes.plot(chart.grid, line, color=colours["plus"], linewidth=0.9, alpha=faint)
    for name, twin in chart.twins:
        style: dict[str, Any] = {"color": colours["plus"], "linestyle": (0, (5, 3))}
        axes.plot(twin.grid, twin.average, label=name, linewidth=1.8, **style)
    axes.plot(
        chart.grid, chart.average, color=colours["accent"], linewidth=2.2, label=chart.own or None
    )
    _name_twins(axes, [name for name, _ in chart.twins], colours)
    axes.set_xlabel(chart.label, color=colours["ink-2"], fontsize=9)
    axes.set_ylabel(chart.unit, color=colours["ink-2"], fontsize=9)


@_draw.register
def _(chart: PairedRanking, axes: Any, colours: Theme) -> None:
    _bars(axes, [list(both) for _, *both in chart.rows], colours)
    _label_rows(axes, [_cut(label) for label, *_ in chart.rows])
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)
    for name, kind in zip(chart.names, ("accent", "plus"), strict=True):
        axes.plot([], [], color=colours[kind], linewidth=6, label=name)
    _name_twins(axes, list(chart.names), colours)


def _bars(axes: Any, rows: list[list[Bar | None]], colours: Theme) -> None:
    """Bars of one revision, or those of two beside each other."""
    for at, bars in enumerate(rows):
        high = 0.66 / len(bars)
        for place, (bar, kind) in enumerate(zip(bars, ("accent", "plus"), strict=False)):
            if bar is None:
                continue
            y = at + (place - (len(bars) - 1) / 2) * high
            axes.barh(y, bar.part, color=colours[kind], height=0.9 * high)
            if bar.low is not None and bar.high is not None:
                axes.plot([bar.low, bar.high], [y, y], color=colours["ink"], linewidth=1.2)


def _name_twins(axes: Any, names: list[str], colours: Theme) -> None:
    if names:
        axes.legend(loc="best", frameon=False, fontsize=8, labelcolor=colours["ink-2"])


def _label_rows(axes: Any, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"

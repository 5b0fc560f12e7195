"""Charts as PNG files, with the colours of the pages; drawn by matplotlib, which lime brings."""

import io
from functools import singledispatch
from typing import Any

import numpy as np

from apps.core.palette import THEMES, Theme
from apps.explanations.drawing import (
    Bar,
    Curve,
    HeatMap,
    Lines,
    PairedRanking,
    Ranking,
    Swarm,
    Waterfall,
    category_bars,
)
from apps.explanations.interactions import InteractionMap
from apps.explanations.words import cut, plain_number

_DPI, _WIDTH_INCHES, _ROW_INCHES, _LINE_INCHES = 160, 8.0, 0.38, 0.27
_EDGE, _LETTER_INCHES = 0.2, 0.071
_LABEL = 42
_PLUS, _MINUS = "#f2803c", "#4aa8f0"

Panel = tuple[str, list[Any]]


def png(chart: Any, title: str, theme: str = "light") -> bytes:
    """The picture of a chart. Raises TypeError for what is no chart."""
    return sheet([(title, [chart])], theme)


def sheet(panels: list[Panel], theme: str = "light") -> bytes:
    """One picture of several panels, each with its title and the charts in it, side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = THEMES[theme]
    heights = [max(_inches(chart) for chart in charts) for _, charts in panels]
    size = (_WIDTH_INCHES, sum(heights))
    figure = Figure(figsize=size, dpi=_DPI, facecolor=colours["surface"])
    FigureCanvasAgg(figure)
    top = size[1]
    for (title, charts), height in zip(panels, heights, strict=True):
        _panel(figure, title, charts, colours, (top, height))
        top -= height
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _panel(
    figure: Any, title: str, charts: list[Any], colours: Theme, place: tuple[float, float]
) -> None:
    """Draws from `place`, its top and height in inches, downwards."""
    wide, high = figure.get_size_inches()
    top, height = place
    ink = {"color": colours["ink"], "fontsize": 11, "fontweight": "bold"}
    figure.text(_EDGE / wide, (top - 0.3) / high, title, **ink)
    each = wide / len(charts)
    for at, chart in enumerate(charts):
        left, low, head = _margins(chart)
        box = (at * each + left, top - height + low, each - left - _EDGE, height - low - head)
        share = (box[0] / wide, box[1] / high, box[2] / wide, box[3] / high)
        if isinstance(chart, HeatMap):
            _heat(figure, share, chart, colours)
            continue
        axes = figure.add_axes(share)
        _dress(axes, colours)
        _draw(chart, axes, colours)


def _margins(chart: Any) -> tuple[float, float, float]:
    """The inches that words need on the left, below and above."""
    if isinstance(chart, Lines):
        return _EDGE, 0.1, 0.45
    if isinstance(chart, HeatMap):
        return _EDGE, 0.2, 0.7
    if not _rows(chart):
        return 0.85, 0.6, 0.5
    longest = max(map(len, _names(chart)), default=0)
    return _EDGE + 0.1 + longest * _LETTER_INCHES, 0.6, 0.45


def _inches(chart: Any) -> float:
    if isinstance(chart, Lines):
        return 0.7 + _LINE_INCHES * len(chart.rows)
    return 1.2 + _ROW_INCHES * _rows(chart) if _rows(chart) else 4.0


def _rows(chart: Any) -> int:
    """How many rows a chart of rows has; 0 where it is none."""
    if isinstance(chart, Waterfall):
        return len(chart.bars) + 2
    if isinstance(chart, Ranking):
        return len(chart.bars)
    if isinstance(chart, Swarm):
        return len(chart.rows)
    if isinstance(chart, InteractionMap):
        return len(chart.labels) + 1
    if isinstance(chart, PairedRanking):
        return 2 * len(chart.rows)
    return len(chart.points) if isinstance(chart, Curve) and not chart.is_line else 0


def _dress(axes: Any, colours: Theme) -> None:
    axes.set_facecolor(colours["surface"])
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
    _label_rows(axes, _names(chart))
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)
    axes.use_sticky_edges = False
    axes.margins(x=0.12)


@_draw.register
def _(chart: Ranking, axes: Any, colours: Theme) -> None:
    _bars(axes, [[bar] for bar in chart.bars], colours)
    _label_rows(axes, _names(chart))
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
    _label_rows(axes, _names(chart))
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)


def _shade(rank: float | None) -> float:
    return 0.5 if rank is None else 0.2 + 0.8 * rank


@_draw.register
def _(chart: InteractionMap, axes: Any, colours: Theme) -> None:
    axes.grid(visible=False)
    for (row, column), pair in chart.pairs.items():
        depth = pair.size / chart.most if chart.most else 0.0
        axes.bar(column, 0.94, bottom=row - 0.47, width=0.94, color=colours["accent"], alpha=depth)
        ink = colours["surface"] if depth > 0.55 else colours["ink"]
        shown = plain_number(pair.size)
        axes.text(column, row, shown, ha="center", va="center", color=ink, fontsize=7.5)
    count = len(chart.labels)
    _label_rows(axes, _names(chart))
    axes.set_xticks(range(count), range(1, count + 1))
    axes.set_xlim(-0.6, count - 0.4)
    axes.set_xlabel(chart.unit, color=colours["ink-2"], fontsize=9)


@_draw.register
def _(chart: Curve, axes: Any, colours: Theme) -> None:
    if not chart.is_line:
        _bars(axes, [bars for _, _, bars in category_bars(chart)], colours)
        _label_rows(axes, _names(chart))
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
    _label_rows(axes, _names(chart))
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


@_draw.register
def _(chart: Lines, axes: Any, colours: Theme) -> None:
    axes.set_axis_off()
    axes.set_ylim(len(chart.rows) - 0.4, -0.6)
    for at, (left, right) in enumerate(chart.rows):
        for x, text, colour in ((0.0, left, "ink"), (0.55, right, "ink-2")):
            place = axes.get_yaxis_transform()
            axes.text(x, at, text, transform=place, va="center", color=colours[colour], fontsize=9)


def _heat(figure: Any, place: tuple[float, ...], chart: HeatMap, colours: Theme) -> None:
    """The input, and beside it the shares over it, paled; strength is opacity, sign is colour."""
    left, low, wide, high = place
    half = wide * 0.48
    names = ("Input", f"What counted, {chart.unit}")
    ground = np.zeros((chart.high, chart.wide)) if chart.bright is None else np.array(chart.bright)
    sides = [figure.add_axes((left + at * (wide - half), low, half, high)) for at in (0, 1)]
    for axes, name, white in zip(sides, names, (1.0, 2.2), strict=True):
        axes.imshow(ground, cmap="gray", vmin=0, vmax=white)
        axes.set_title(name, color=colours["ink-2"], fontsize=9, loc="left")
        axes.set_axis_off()
        axes.set_anchor("NW")
    values = np.array(chart.values) / (chart.largest or 1.0)
    colour = np.empty((*values.shape, 4))
    colour[..., :3] = np.where(values[..., None] > 0, _rgb(_PLUS), _rgb(_MINUS))
    colour[..., 3] = np.abs(values)
    sides[1].imshow(colour)


def _rgb(text: str) -> tuple[float, ...]:
    return tuple(int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))


def _names(chart: Any) -> list[str]:
    """What stands on the left of a chart of rows."""
    if isinstance(chart, Waterfall):
        rows = [_cut(bar.named) for bar in chart.bars]
        return [f"Start {chart.base_shown}", *rows, f"Prediction {chart.prediction_shown}"]
    if isinstance(chart, InteractionMap):
        return [f"{at}  {_cut(label)}" for at, label in enumerate(chart.labels, start=1)]
    if isinstance(chart, Swarm | PairedRanking):
        return [_cut(label) for label, *_ in chart.rows]
    if isinstance(chart, Curve):
        return [_cut(label) for label, *_ in category_bars(chart)]
    return [_cut(bar.label) for bar in chart.bars]


def _label_rows(axes: Any, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _cut(text: str) -> str:
    return cut(text, _LABEL)

"""Charts as geometry and SVG: pure, no markup of pages, no clock, no database.

Every picture is a strip that stretches to its place while lines and dots keep their width; labels
and numbers stand beside it as text, so that they stay readable on a telephone and for a screen
reader. Colours come from classes. Positions run from 0 to `WIDE` and, downwards, to `HIGH`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.explanations.words import Words, percent, plain_number, signed

WIDE, HIGH = 1000.0, 300.0
_ROW = 20.0
_MOST_BARS = 8
_MARGIN = 0.02
_UNSEEN = SafeString('aria-hidden="true"')


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: `part` is its number, drawn from `start` to `end`."""

    label: str
    note: str
    part: float
    start: float
    end: float
    low: float | None = None
    high: float | None = None
    name: str = ""

    @property
    def shown(self) -> str:
        return signed(self.part)

    @property
    def number(self) -> str:
        return plain_number(self.part)

    @property
    def kind(self) -> str:
        return "plus" if self.part > 0 else "minus"


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Contributions from where the model starts to what it says, the largest first."""

    title: str
    unit: str
    base: float
    prediction: float
    bars: tuple[Bar, ...]
    every: tuple[Bar, ...]

    @property
    def scale(self) -> "Scale":
        ends = [
            self.base,
            self.prediction,
            *(b.start for b in self.bars),
            *(b.end for b in self.bars),
        ]
        return Scale.over(ends)

    @property
    def base_shown(self) -> str:
        return signed(self.base)

    @property
    def prediction_shown(self) -> str:
        return signed(self.prediction)

    def table(self) -> tuple[list[str], list[list[Any]]]:
        rows = [[bar.label, bar.note, bar.part] for bar in self.every]
        ends = [["Model's start", "", self.base], ["Prediction", "", self.prediction]]
        return ["Feature", "Value", f"Contribution, {self.unit}"], ends[:1] + rows + ends[1:]


@dataclass(frozen=True, slots=True)
class Scale:
    """Takes numbers to positions."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> "Scale":
        known = list(values)
        low, high = min(known), max(known)
        space = (high - low) * _MARGIN or max(abs(high), 1.0) * 0.5
        return cls(low - space, high + space)

    def at(self, value: float, length: float = WIDE) -> float:
        return length * (value - self.low) / (self.high - self.low)


def waterfall(content: dict[str, Any], words: Words, most: int = _MOST_BARS) -> Waterfall:
    """The contributions of one answer; what is not among the `most` largest becomes one row.

    Where the parts leave a rest, as those of LIME do, a row says so and closes the sum.
    """
    base, prediction = content["baseValue"] or 0.0, content["prediction"]
    parts = [
        (
            words.label(p["feature"]),
            words.value(p["feature"], p["value"]),
            p["contribution"],
            p["feature"],
        )
        for p in sorted(content["contributions"], key=lambda p: -abs(p["contribution"]))
    ]
    few = parts[:most] if len(parts) > most + 1 else parts
    rest = parts[len(few) :]
    if rest:
        few = [*few, (f"{len(rest)} others", "", sum(part[2] for part in rest), "")]
    missing = prediction - base - sum(part[2] for part in parts)
    if abs(missing) > 1e-3 * max(1.0, abs(prediction)):
        closing = ("Not explained", "the local fit's rest", missing, "")
        few, parts = [*few, closing], [*parts, closing]
    label = content["class"]
    title = f"What led to {label}" if label is not None else "What led to the value"
    return Waterfall(
        title, content["unit"], base, prediction, _chained(few, base), _chained(parts, base)
    )


def _chained(parts: Sequence[tuple[str, str, float, str]], base: float) -> tuple[Bar, ...]:
    bars, at = [], base
    for label, note, part, name in parts:
        bars.append(Bar(label, note, part, at, at + part, name=name))
        at += part
    return tuple(bars)


def waterfall_row(chart: Waterfall, bar: Bar) -> SafeString:
    """One bar of a waterfall from where the one before ended."""
    scale = chart.scale
    marks = [_rect(scale.at(bar.start), scale.at(bar.end), bar.kind, f"{bar.label}: {bar.shown}")]
    return strip(_guides(chart, scale), *marks)


def end_row(chart: Waterfall, value: float) -> SafeString:
    """The row of the base value or of the prediction."""
    scale = chart.scale
    return strip(_guides(chart, scale), _tick(scale.at(value), "end"))


def _guides(chart: Waterfall, scale: Scale) -> SafeString:
    return format_html(
        "{}{}", _tick(scale.at(chart.base), "guide"), _tick(scale.at(chart.prediction), "guide")
    )


def force(chart: Waterfall) -> SafeString:
    """All that pushes up from the left and down from the right; they meet at the prediction."""
    ups = sorted((b for b in chart.every if b.part > 0), key=lambda b: -b.part)
    downs = sorted((b for b in chart.every if b.part < 0), key=lambda b: b.part)
    meeting = chart.prediction
    scale = Scale.over(
        [
            meeting,
            chart.base,
            meeting - sum(b.part for b in ups),
            meeting - sum(b.part for b in downs),
        ]
    )
    marks, at = [], meeting
    for bar in ups:
        marks.append(_force_part(scale, at - bar.part, at, bar))
        at -= bar.part
    at = meeting
    for bar in downs:
        marks.append(_force_part(scale, at, at - bar.part, bar))
        at -= bar.part
    ticks = (_tick(scale.at(chart.base), "guide"), _tick(scale.at(meeting), "end"))
    return strip(*marks, *ticks, kind="strip force", label=force_words(chart))


def _force_part(scale: Scale, start: float, end: float, bar: Bar) -> SafeString:
    title = f"{bar.label} {bar.note}: {bar.shown}"
    gap = min(1.5, abs(scale.at(end) - scale.at(start)) / 4)
    return _rect(scale.at(start) + gap, scale.at(end) - gap, bar.kind, title)


def force_words(chart: Waterfall) -> str:
    """The force bar in words, for those who do not see it."""
    ups = sum(bar.part for bar in chart.every if bar.part > 0)
    downs = sum(bar.part for bar in chart.every if bar.part < 0)
    return (
        f"From {chart.base_shown} by {signed(ups)} up and {signed(downs)} down to "
        f"{chart.prediction_shown} {chart.unit}"
    )


@dataclass(frozen=True, slots=True)
class Ranking:
    """Features by importance with the interval of each."""

    title: str
    unit: str
    bars: tuple[Bar, ...]

    @property
    def scale(self) -> Scale:
        ends = [0.0] + [x for b in self.bars for x in (b.part, b.low or 0.0, b.high or 0.0)]
        return Scale(min(ends), (max(ends) or 1.0) * (1 + _MARGIN))

    def table(self) -> tuple[list[str], list[list[Any]]]:
        rows = [[bar.label, bar.part, bar.low, bar.high] for bar in self.bars]
        return ["Feature", f"Importance, {self.unit}", "95 % from", "to"], rows


def ranking(title: str, unit: str, found: dict[str, Any], words: Words) -> Ranking:
    """The features of an importance, the most important first."""
    by_name = {each["feature"]: each for each in found["features"]}
    ordered = [by_name[name] for name in found["ranking"]]
    return Ranking(
        title,
        unit,
        tuple(
            Bar(
                words.label(each["feature"]),
                "",
                each["importance"],
                0.0,
                each["importance"],
                each["low"],
                each["high"],
                each["feature"],
            )
            for each in ordered
        ),
    )


def ranking_row(chart: Ranking, bar: Bar) -> SafeString:
    """One bar with its interval."""
    return bar_strip(chart.scale, bar, "accent")


def bar_strip(scale: Scale, bar: Bar, kind: str) -> SafeString:
    """A bar from nothing, with its interval where it has one."""
    title = f"{bar.label}: {plain_number(bar.part)}"
    marks = [_rect(scale.at(0.0), scale.at(bar.part), kind, title)]
    if bar.low is not None and bar.high is not None:
        low, high = scale.at(bar.low), scale.at(bar.high)
        marks.append(_line([(low, _ROW / 2), (high, _ROW / 2)], "interval"))
    return strip(_tick(scale.at(0.0), "guide"), *marks)


@dataclass(frozen=True, slots=True)
class Swarm:
    """Contributions of many predictions: `rows` holds feature, and per dot its contribution and
    where its value stands among the others (0 lowest to 1 highest, None where it has no order)."""

    unit: str
    rows: tuple[tuple[str, tuple[tuple[float, float | None], ...]], ...]
    count: int

    @property
    def scale(self) -> Scale:
        return Scale.over([0.0, *(x for _, dots in self.rows for x, _ in dots)])

    def table(self) -> tuple[list[str], list[list[Any]]]:
        rows = [[label, *_quartiles([x for x, _ in dots]), len(dots)] for label, dots in self.rows]
        return ["Feature", "Lowest", "Median", "Highest", "Predictions"], rows


def _quartiles(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]


def swarm(contents: Sequence[dict[str, Any]], words: Words, most: int = 12) -> Swarm:
    """The contributions of several answers in one unit, by feature, the strongest first."""
    found: dict[str, list[tuple[float, Any]]] = {}
    for content in contents:
        for part in content["contributions"]:
            found.setdefault(part["feature"], []).append((part["contribution"], part["value"]))
    strongest = sorted(found, key=lambda name: -sum(abs(x) for x, _ in found[name]))[:most]
    rows = tuple((words.label(name), _ranked(found[name])) for name in strongest)
    return Swarm(contents[0]["unit"] if contents else "", rows, len(contents))


def _ranked(dots: list[tuple[float, Any]]) -> tuple[tuple[float, float | None], ...]:
    numbers = [v for _, v in dots if isinstance(v, int | float) and not isinstance(v, bool)]
    if not numbers or min(numbers) == max(numbers):
        return tuple((x, None) for x, _ in dots)
    low, high = min(numbers), max(numbers)
    return tuple(
        (x, (v - low) / (high - low) if isinstance(v, int | float) else None) for x, v in dots
    )


def swarm_row(chart: Swarm, dots: Sequence[tuple[float, float | None]]) -> SafeString:
    """Dots piled up where they are many; pale for low values and dark for high ones."""
    scale, piles, marks = chart.scale, dict[int, int](), []
    for x, rank in sorted(dots, key=lambda dot: dot[0]):
        at = scale.at(x)
        pile = piles.get(int(at // 9), 0)
        piles[int(at // 9)] = pile + 1
        y = 15 + (1 if pile % 2 else -1) * ((pile + 1) // 2) * 3.5
        kind = "none" if rank is None else f"q{min(int(rank * 4), 3)}"
        marks.append(_line([(at, min(max(y, 2), 28)), (at, min(max(y, 2), 28))], f"dot {kind}"))
    return strip(_tick(scale.at(0.0), "guide", 30), *marks, kind="strip swarm", high=30)


@dataclass(frozen=True, slots=True)
class Curve:
    """What the model says along one feature: for one case, for many, and on average.

    `twins` are the same of other revisions by their names, with grids of their own; `own` is then
    the name of the revision that this one is of.
    """

    name: str
    label: str
    unit: str
    grid: tuple[Any, ...]
    grid_words: tuple[str, ...]
    average: tuple[float, ...]
    single: tuple[tuple[float, ...], ...]
    here: Any = None
    twins: tuple[tuple[str, "Curve"], ...] = ()
    own: str = ""
    shares: bool = False

    @property
    def is_line(self) -> bool:
        return all(isinstance(x, int | float) and not isinstance(x, bool) for x in self.grid)

    @property
    def scale(self) -> Scale:
        return Scale.over(self._values)

    @property
    def _values(self) -> list[float]:
        lines = (self.average, *self.single, *(twin.average for _, twin in self.twins))
        return [y for line in lines for y in line]

    @property
    def across(self) -> Scale:
        """From the first to the last value of all grids, which must be numbers."""
        points = [x for grid in (self.grid, *(t.grid for _, t in self.twins)) for x in grid]
        return Scale(min(points), max(points) + 1e-12)

    @property
    def points(self) -> list[tuple[Any, str]]:
        """The values of all grids with their words, each once; numbers in order."""
        known = dict(zip(self.grid, self.grid_words, strict=True))
        for _, twin in self.twins:
            known |= dict(zip(twin.grid, twin.grid_words, strict=True)) | known
        return sorted(known.items()) if self.is_line else list(known.items())

    def said(self, value: float) -> str:
        return percent(value) if self.shares else plain_number(value)

    @property
    def top(self) -> str:
        return self.said(max(self._values))

    @property
    def bottom(self) -> str:
        return self.said(min(self._values))

    @property
    def spoken(self) -> str:
        first, last = self.said(self.average[0]), self.said(self.average[-1])
        ends = f"{self.grid_words[0]} to {self.grid_words[-1]}"
        return f"{self.label} from {ends}: {first} to {last} on average"

    def table(self) -> tuple[list[str], list[list[Any]]]:
        heads = [self.label, self.own or "On average", *(name for name, _ in self.twins)]
        lines = [dict(zip(self.grid, self.average, strict=True))]
        lines += [dict(zip(twin.grid, twin.average, strict=True)) for _, twin in self.twins]
        if len(self.single) == 1:
            heads.append("This case")
            lines.append(dict(zip(self.grid, self.single[0], strict=True)))
        return heads, [[word, *(line.get(x) for line in lines)] for x, word in self.points]


def curves(
    content: dict[str, Any], words: Words, case: dict[str, Any] | None = None
) -> list[Curve]:
    """The one-feature curves of an answer or of a summary; those of a summary hold many cases."""
    return [
        _curve(found, content["unit"], words, (case or {}).get(found["features"][0]))
        for found in content["curves"]
        if len(found["features"]) == 1
    ]


def _curve(found: dict[str, Any], unit: str, words: Words, here: Any) -> Curve:
    name, individual = found["features"][0], found.get("individual") or []
    many = bool(individual) and isinstance(individual[0], list)
    lines = individual if many else [individual] * bool(individual)
    return Curve(
        name=name,
        label=words.label(name),
        unit=unit,
        grid=tuple(found["grid"]),
        grid_words=tuple(words.value(name, x) for x in found["grid"]),
        average=tuple(found["average"]),
        single=tuple(tuple(line) for line in lines),
        here=here,
        shares=unit == "probability",
    )


def curve_picture(chart: Curve) -> SafeString:
    """Lines of single cases, the average above them, and where this case stands."""
    across, up = chart.across, chart.scale

    def drawn(grid: Sequence[Any], line: Sequence[float], kind: str) -> SafeString:
        pairs = zip(grid, line, strict=True)
        return _line([(across.at(x), HIGH - up.at(y, HIGH)) for x, y in pairs], kind)

    many = len(chart.single) > 1
    marks = [drawn(chart.grid, line, "ice" if many else "own") for line in chart.single]
    marks += [drawn(twin.grid, twin.average, "other") for _, twin in chart.twins]
    marks.append(drawn(chart.grid, chart.average, "average"))
    if isinstance(chart.here, int | float) and across.low <= chart.here <= across.high:
        marks.append(_tick(across.at(chart.here), "end", HIGH))
    return strip(*marks, kind="strip curve", high=HIGH, label=chart.spoken)


def category_bars(chart: Curve) -> list[tuple[str, str, list[Bar | None]]]:
    """The averages of a feature without order as rows: value, whether it is this case's, and a
    bar for each revision that knows the value."""
    averages = [dict(zip(chart.grid, chart.average, strict=True))]
    averages += [dict(zip(twin.grid, twin.average, strict=True)) for _, twin in chart.twins]
    rows = []
    for value, word in chart.points:
        sizes = [line.get(value) for line in averages]
        bars = [None if y is None else Bar(word, "", y, 0.0, y) for y in sizes]
        rows.append((word, "this case" if value == chart.here else "", bars))
    return rows


def category_row(chart: Curve, bar: Bar, kind: str = "accent") -> SafeString:
    ends = [0.0, *chart.average, *(y for _, twin in chart.twins for y in twin.average)]
    scale = Scale(min(ends), (max(ends) or 1e-9) * (1 + _MARGIN))
    return bar_strip(scale, bar, kind)


def strip(
    *marks: SafeString, kind: str = "strip", high: float = _ROW, label: str = ""
) -> SafeString:
    """An SVG of the width of its place; decoration beside text unless it has a `label`."""
    seen = format_html('role="img" aria-label="{}"', label) if label else _UNSEEN
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>',
        kind,
        f"{WIDE:g}",
        f"{high:g}",
        seen,
        format_html_join("", "{}", ((mark,) for mark in marks)),
    )


def _rect(start: float, end: float, kind: str, title: str) -> SafeString:
    left, width = min(start, end), max(abs(end - start), 1.5)
    return format_html(
        '<rect class="{}" x="{}" y="3" width="{}" height="14"><title>{}</title></rect>',
        kind,
        f"{left:.1f}",
        f"{width:.1f}",
        title,
    )


def _tick(at: float, kind: str, high: float = _ROW) -> SafeString:
    return _line([(at, 0.0), (at, high)], kind)


def _line(points: Sequence[tuple[float, float]], kind: str) -> SafeString:
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return format_html('<path class="{}" d="M{}"/>', kind, path)

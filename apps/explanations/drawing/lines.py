"""What a model says along one feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from apps.explanations.drawing.importance import bar_strip
from apps.explanations.drawing.marks import HIGH, MARGIN, Bar, Scale, strip, stroke, tick
from apps.explanations.words import Words, percent, plain_number


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
        return stroke([(across.at(x), HIGH - up.at(y, HIGH)) for x, y in pairs], kind)

    many = len(chart.single) > 1
    marks = [drawn(chart.grid, line, "ice" if many else "own") for line in chart.single]
    marks += [drawn(twin.grid, twin.average, "other") for _, twin in chart.twins]
    marks.append(drawn(chart.grid, chart.average, "average"))
    if isinstance(chart.here, int | float) and across.low <= chart.here <= across.high:
        marks.append(tick(across.at(chart.here), "end", HIGH))
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
    scale = Scale(min(ends), (max(ends) or 1e-9) * (1 + MARGIN))
    return bar_strip(scale, bar, kind)

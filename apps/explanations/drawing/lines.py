"""What a model says along one feature."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from apps.explanations.drawing.marks import HIGH, MARGIN, Bar, Scale, rect, strip, stroke, tick
from apps.explanations.words import Words, percent, plain_number


@dataclass(frozen=True, slots=True)
class Curve:
    """What the model says along one feature: for one case, for many, and on average."""

    name: str
    label: str
    unit: str
    grid: tuple[Any, ...]
    grid_words: tuple[str, ...]
    average: tuple[float, ...]
    single: tuple[tuple[float, ...], ...]
    here: Any = None
    others: tuple[tuple[str, tuple[float, ...]], ...] = ()
    shares: bool = False

    @property
    def is_line(self) -> bool:
        return all(isinstance(x, int | float) and not isinstance(x, bool) for x in self.grid)

    @property
    def scale(self) -> Scale:
        lines = (self.average, *self.single, *(line for _, line in self.others))
        return Scale.over([y for line in lines for y in line])

    def said(self, value: float) -> str:
        return percent(value) if self.shares else plain_number(value)

    @property
    def top(self) -> str:
        return self.said(max(y for line in (self.average, *self.single) for y in line))

    @property
    def bottom(self) -> str:
        return self.said(min(y for line in (self.average, *self.single) for y in line))

    @property
    def spoken(self) -> str:
        first, last = self.said(self.average[0]), self.said(self.average[-1])
        ends = f"{self.grid_words[0]} to {self.grid_words[-1]}"
        return f"{self.label} from {ends}: {first} to {last} on average"

    def table(self) -> tuple[list[str], list[list[Any]]]:
        heads = [self.label, "On average", *(name for name, _ in self.others)]
        own = self.single[0] if len(self.single) == 1 else ()
        rows: list[list[Any]] = []
        for at, word in enumerate(self.grid_words):
            others = [line[at] for _, line in self.others]
            rows.append([word, self.average[at], *others, *([own[at]] if own else [])])
        return heads + (["This case"] if own else []), rows


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
    across, up = Scale(min(chart.grid), max(chart.grid) + 1e-12), chart.scale

    def points(line: Sequence[float]) -> list[tuple[float, float]]:
        return [
            (across.at(x), HIGH - up.at(y, HIGH)) for x, y in zip(chart.grid, line, strict=True)
        ]

    many = len(chart.single) > 1
    marks = [stroke(points(line), "ice" if many else "own") for line in chart.single]
    marks += [stroke(points(line), "other") for _, line in chart.others]
    marks.append(stroke(points(chart.average), "average"))
    if isinstance(chart.here, int | float) and across.low <= chart.here <= across.high:
        marks.append(tick(across.at(chart.here), "end", HIGH))
    return strip(*marks, kind="strip curve", high=HIGH, label=chart.spoken)


def category_bars(chart: Curve) -> list[Bar]:
    """The averages of a feature without order as rows; `note` marks the case's own value."""
    return [
        Bar(word, "this case" if value == chart.here else "", y, 0.0, y)
        for value, word, y in zip(chart.grid, chart.grid_words, chart.average, strict=True)
    ]


def category_row(chart: Curve, bar: Bar) -> SafeString:
    top = max([*chart.average, *(y for _, line in chart.others for y in line), 1e-9])
    scale = Scale(min(0.0, *chart.average), top * (1 + MARGIN))
    return strip(rect(scale.at(0.0), scale.at(bar.part), "accent", f"{bar.label}: {bar.number}"))

"""Contributions as a waterfall and as a force bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.explanations.drawing.marks import Bar, Scale, rect, strip, tick
from apps.explanations.words import Words, signed

_MOST_BARS = 8


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


def waterfall(content: dict[str, Any], words: Words, most: int = _MOST_BARS) -> Waterfall:
    """The contributions of one answer; what is not among the `most` largest becomes one row.

    Where the parts leave a rest, as those of LIME do, a row says so and closes the sum.
    """
    base, prediction = content["baseValue"] or 0.0, content["prediction"]
    parts = [
        (
            words.label(p["feature"]),
            words.given(p),
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
    marks = [rect(scale.at(bar.start), scale.at(bar.end), bar.kind, f"{bar.label}: {bar.shown}")]
    return strip(_guides(chart, scale), *marks)


def end_row(chart: Waterfall, value: float) -> SafeString:
    """The row of the base value or of the prediction."""
    scale = chart.scale
    return strip(_guides(chart, scale), tick(scale.at(value), "end"))


def _guides(chart: Waterfall, scale: Scale) -> SafeString:
    return format_html(
        "{}{}", tick(scale.at(chart.base), "guide"), tick(scale.at(chart.prediction), "guide")
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
    ticks = (tick(scale.at(chart.base), "guide"), tick(scale.at(meeting), "end"))
    return strip(*marks, *ticks, kind="strip force", label=force_words(chart))


def _force_part(scale: Scale, start: float, end: float, bar: Bar) -> SafeString:
    title = f"{' '.join(filter(None, (bar.label, bar.note)))}: {bar.shown}"
    gap = min(1.5, abs(scale.at(end) - scale.at(start)) / 4)
    return rect(scale.at(start) + gap, scale.at(end) - gap, bar.kind, title)


def force_words(chart: Waterfall) -> str:
    """The force bar in words, for those who do not see it."""
    ups = sum(bar.part for bar in chart.every if bar.part > 0)
    downs = sum(bar.part for bar in chart.every if bar.part < 0)
    return (
        f"From {chart.base_shown} by {signed(ups)} up and {signed(downs)} down to "
        f"{chart.prediction_shown} {chart.unit}"
    )

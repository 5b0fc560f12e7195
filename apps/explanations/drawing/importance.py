"""Features by importance, with the interval of each."""

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from apps.explanations.drawing.marks import MARGIN, ROW, Bar, Scale, rect, strip, stroke, tick
from apps.explanations.words import Words, plain_number


@dataclass(frozen=True, slots=True)
class Ranking:
    """Features by importance with the interval of each."""

    title: str
    unit: str
    bars: tuple[Bar, ...]

    @property
    def scale(self) -> Scale:
        ends = [0.0] + [x for b in self.bars for x in (b.part, b.low or 0.0, b.high or 0.0)]
        return Scale(min(ends), (max(ends) or 1.0) * (1 + MARGIN))

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
    marks = [rect(scale.at(0.0), scale.at(bar.part), kind, title)]
    if bar.low is not None and bar.high is not None:
        low, high = scale.at(bar.low), scale.at(bar.high)
        marks.append(stroke([(low, ROW / 2), (high, ROW / 2)], "interval"))
    return strip(tick(scale.at(0.0), "guide"), *marks)

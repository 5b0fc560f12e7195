"""Charts of shares with their intervals, as geometry and SVG; each has its table and its words.

As those of explanations: strips that stretch to their place, with text beside them. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.templatetags.ui import number, percent

WIDE, HIGH, ROW = 1000.0, 300.0, 20.0


@dataclass(frozen=True, slots=True)
class Row:
    """A value of `n` cases with its interval; None where it is not known. `label` stands at it in
    a table, `value` may have `other` beside it with an interval of its own."""

    label: str
    n: int
    value: float | None
    low: float | None
    high: float | None
    other: float | None = None
    other_low: float | None = None
    other_high: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows of shares, or of numbers where `is_share` is false; `other` names the second value."""

    key: str
    title: str
    measure: str
    of: str
    rows: tuple[Row, ...]
    is_share: bool = True
    is_line: bool = False
    other: str = ""

    @property
    def top(self) -> float:
        ends = [
            value
            for row in self.rows
            for value in (row.value, row.high, row.other, row.other_high)
            if value is not None
        ]
        highest = max(ends, default=0.0) * 1.05 or 1.0
        return min(highest, 1.0) if self.is_share else highest

    @property
    def top_shown(self) -> str:
        return self.said(self.top)

    @property
    def words(self) -> str:
        """The chart for those who do not see it."""
        known = [row for row in self.rows if row.value is not None]
        if not known:
            return f"{self.title}: nothing is known yet."
        low = min(known, key=lambda row: row.value or 0.0)
        high = max(known, key=lambda row: row.value or 0.0)
        text = f"{self.title}: {self.said(known[-1].value)} in {known[-1].label}"
        return (
            f"{text}; lowest {self.said(low.value)} in {low.label}, "
            f"highest {self.said(high.value)} in {high.label}."
        )

    def said(self, value: float | None) -> str:
        if self.is_share:
            return percent(value)
        return number(value, 0 if value is not None and abs(value) >= 1000 else 2)

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Heads and rows, with numbers as they are."""
        heads = [self.of, self.measure, "95 % from", "to", "Cases"]
        rows = [[row.label, row.value, row.low, row.high, row.n] for row in self.rows]
        if self.other:
            heads += [self.other, "95 % from", "to"]
            for cells, row in zip(rows, self.rows, strict=True):
                cells += [row.other, row.other_low, row.other_high]
        return heads, rows

    @property
    def shown(self) -> tuple[list[str], list[list[str]]]:
        """The table in words of the page."""
        heads, rows = self.table()
        return heads, [
            [str(cells[0]), *(self._cell(at, value) for at, value in enumerate(cells[1:], 1))]
            for cells in rows
        ]

    def _cell(self, at: int, value: Any) -> str:
        return number(value) if at == 4 else self.said(value)


def line(chart: Chart) -> SafeString:
    """Values over time from left to right, with the band of their intervals."""
    top, rows = chart.top, chart.rows
    step = WIDE / max(len(rows) - 1, 1)
    places = [(step * at if len(rows) > 1 else WIDE / 2, row) for at, row in enumerate(rows)]
    known = [(x, row) for x, row in places if row.value is not None]
    marks = [
        _path(f"M{x:.1f} {_y(row.low, top):.1f} V{_y(row.high, top):.1f}", "band")
        for x, row in known
        if row.low is not None and row.high is not None
    ]
    marks.append(_path(_points([(x, row.value) for x, row in known], top), "average"))
    marks += [_path(f"M{x:.1f} {_y(row.value, top):.1f} h.01", "mark") for x, row in known]
    other = [(x, row.other) for x, row in places if row.other is not None]
    marks.append(_path(_points(other, top), "other"))
    return _svg(marks, HIGH, "strip curve", chart.words)


def bar(chart: Chart, row: Row) -> SafeString:
    """One value as a bar with its interval."""
    marks = []
    if row.value is not None:
        end = WIDE * row.value / chart.top
        marks.append(_path(f"M0 3 H{end:.1f} V{ROW - 3:g} H0 Z", "accent"))
        if row.low is not None and row.high is not None:
            low, high = (WIDE * min(each / chart.top, 1.0) for each in (row.low, row.high))
            marks.append(_path(f"M{low:.1f} {ROW / 2:g} H{high:.1f}", "interval"))
    return _svg(marks, ROW, "strip", "")


def day(at: datetime) -> str:
    return f"{at:%-d %b %Y}"


def _y(value: float | None, top: float) -> float:
    return HIGH * (1 - min((value or 0.0) / top, 1.0))


def _points(points: Sequence[tuple[float, float | None]], top: float) -> str:
    if not points:
        return "M0 0"
    return "M" + " L".join(f"{x:.1f} {_y(value, top):.1f}" for x, value in points)


def _path(d: str, kind: str) -> SafeString:
    return format_html('<path class="{}" d="{}"/>', kind, d)


def _svg(marks: Sequence[SafeString], height: float, kind: str, words: str) -> SafeString:
    drawn = format_html_join("", "{}", ((each,) for each in marks))
    said = format_html('role="img" aria-label="{}"', words) if words else 'aria-hidden="true"'
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>',
        kind,
        int(WIDE),
        int(height),
        SafeString(said),
        drawn,
    )

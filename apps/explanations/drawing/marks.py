"""What every chart is drawn with: a scale, a bar's numbers, and strips of marks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.explanations.words import plain_number, signed

WIDE, HIGH, ROW = 1000.0, 300.0, 20.0
MARGIN = 0.02
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
    def named(self) -> str:
        """The label with its note."""
        return f"{self.label}: {self.note}" if self.note else self.label

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
class Lines:
    """What is said in words, a row each: what on the left, and how much on the right."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Takes numbers to positions."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> "Scale":
        known = list(values)
        low, high = min(known), max(known)
        space = (high - low) * MARGIN or max(abs(high), 1.0) * 0.5
        return cls(low - space, high + space)

    def at(self, value: float, length: float = WIDE) -> float:
        return length * (value - self.low) / (self.high - self.low)


def strip(
    *marks: SafeString, kind: str = "strip", high: float = ROW, label: str = ""
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


def rect(start: float, end: float, kind: str, title: str) -> SafeString:
    left, width = min(start, end), max(abs(end - start), 1.5)
    return format_html(
        '<rect class="{}" x="{}" y="3" width="{}" height="14"><title>{}</title></rect>',
        kind,
        f"{left:.1f}",
        f"{width:.1f}",
        title,
    )


def tick(at: float, kind: str, high: float = ROW) -> SafeString:
    return stroke([(at, 0.0), (at, high)], kind)


def stroke(points: Sequence[tuple[float, float]], kind: str) -> SafeString:
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return format_html('<path class="{}" d="M{}"/>', kind, path)

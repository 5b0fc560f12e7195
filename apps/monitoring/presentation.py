"""Figures in the words of the pages: a number, how it moved, and its history."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.templatetags.ui import microseconds, number, percent
from apps.monitoring.selectors import Figures, Share, Traffic

_UNMOVED = 0.005


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure. `note` stands small below it; `change` says how it moved against the
    same time before."""

    label: str
    value: str
    note: str
    change: str
    history: Sequence[float | None]

    @property
    def spoken(self) -> str:
        return f"{self.label}, by the hour over a day"


def tiles(figures: Figures) -> list[Tile]:
    """The figures of a deployment's overview."""
    now, before = figures.traffic.now, figures.traffic.before
    return [
        Tile(
            "Predictions, 24 h",
            number(now.predictions),
            _requests(figures.traffic),
            ratio_change(now.predictions, before.predictions),
            [bucket.predictions for bucket in figures.traffic.buckets],
        ),
        Tile(
            "Refused or failed",
            percent(now.error_share, 2),
            _errors(figures.traffic),
            points_change(now.error_share, before.error_share),
            [share(b.errors, b.requests) for b in figures.traffic.buckets],
        ),
        Tile(
            "Response, median",
            microseconds_text(now.p50_us),
            "",
            ratio_change(now.p50_us, before.p50_us),
            figures.p50s,
        ),
        Tile(
            "Response, p95",
            microseconds_text(now.p95_us),
            "",
            ratio_change(now.p95_us, before.p95_us),
            figures.p95s,
        ),
        *(_class_tile(each) for each in figures.mix),
    ]


def _class_tile(each: Share) -> Tile:
    return Tile(
        f"Predicted {each.outcome}",
        percent(each.share),
        number(each.count),
        points_change(each.share, each.share_before),
        each.hours,
    )


def ratio_change(now: float | None, before: float | None) -> str:
    """`+12 % on the day before`."""
    if not before:
        return "nothing the day before" if now else ""
    if not now:
        return "nothing since"
    moved = now / before - 1
    if abs(moved) < _UNMOVED:
        return "as the day before"
    if moved > 9.995:
        return f"{now / before:,.0f} times the day before"
    return f"{_signed(100 * moved, 0)}\u00a0% on the day before"


def points_change(now: float | None, before: float | None) -> str:
    """`-0.4 points on the day before`: shares move by percentage points."""
    if now is None or before is None:
        return ""
    moved = 100 * (now - before)
    if abs(moved) < 0.05:
        return "as the day before"
    return f"{_signed(moved, 1)} points on the day before"


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def microseconds_text(value: float | None) -> str:
    return microseconds(None if value is None else round(value))


def _signed(value: float, decimals: int) -> str:
    return f"{'+' if value > 0 else '−'}{abs(value):,.{decimals}f}"


def _requests(traffic: Traffic) -> str:
    if traffic.now.requests == traffic.now.predictions:
        return ""
    return f"in {traffic.now.requests:,} request{'s' * (traffic.now.requests != 1)}"


def _errors(traffic: Traffic) -> str:
    refused, failed = traffic.now.client_errors, traffic.now.server_errors
    parts = [f"{refused:,} refused"] * bool(refused) + [f"{failed:,} failed"] * bool(failed)
    return ", ".join(parts)

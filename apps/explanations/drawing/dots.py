"""Contributions of many predictions, a dot for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from apps.explanations.drawing.marks import Scale, strip, stroke, tick
from apps.explanations.words import Words


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
            found.setdefault(part["feature"], []).append((part["contribution"], part.get("value")))
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
        marks.append(stroke([(at, min(max(y, 2), 28)), (at, min(max(y, 2), 28))], f"dot {kind}"))
    return strip(tick(scale.at(0.0), "guide", 30), *marks, kind="strip swarm", high=30)

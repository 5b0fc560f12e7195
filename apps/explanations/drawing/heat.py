"""What a model looks at in a picture: the input, and the shares of its places over it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.deployments.wire import BadRequest, restored
from apps.explanations.words import plain_number, signed

_MOST_CHANNELS = 4
_MOST_CELLS = 48
_LEVELS = 12
_MOST_NAMED = 8

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A share of the score for every place of a picture, and the picture's brightness from 0 to 1
    where it is known; `given` holds its own numbers, averaged over channels."""

    title: str
    unit: str
    values: Rows
    bright: Rows | None
    given: Rows | None
    is_signed: bool

    @property
    def high(self) -> int:
        return len(self.values)

    @property
    def wide(self) -> int:
        return len(self.values[0])

    @property
    def largest(self) -> float:
        return max(abs(value) for row in self.values for value in row)

    def said(self, value: float) -> str:
        return signed(value) if self.is_signed else plain_number(value)

    @property
    def top(self) -> list[tuple[int, int, str, str]]:
        """The places that count most: row and column from 1, what is there, and its share."""
        return [
            (row, column, "–" if given is None else plain_number(given), self.said(value))
            for row, column, given, value in self._ordered()[:_MOST_NAMED]
            if value
        ]

    @property
    def spoken(self) -> str:
        """The map in words, for those who do not see it."""
        size = f"Heat map of {self.high} by {self.wide} places over the input"
        if not self.top:
            return f"{size}: no place counts"
        row, column, _, share = self.top[0]
        return f"{size}: row {row}, column {column} counts most, {share}"

    def table(self) -> tuple[list[str], list[list[Any]]]:
        heads = ["Row", "Column", "Input", f"Attribution, {self.unit}"]
        return heads, [list(each) for each in self._ordered()]

    def _ordered(self) -> list[tuple[int, int, float | None, float]]:
        cells = [
            (row, column, self.given[row - 1][column - 1] if self.given else None, value)
            for row, line in enumerate(self.values, start=1)
            for column, value in enumerate(line, start=1)
        ]
        return sorted(cells, key=lambda cell: -abs(cell[3]))


def heat_map(content: dict[str, Any], case: Any) -> HeatMap | None:
    """The map of an answer for the instance `case`; None where its places form no picture."""
    found = _numbers(content["picture"].get("values"))
    values = _flat(found) if found is not None else None
    if values is None or not values.size:
        return None
    given = _picture(case, values.shape)
    label = content.get("class")
    return HeatMap(
        title=f"What led to {label}" if label is not None else "What led to the value",
        unit=str(content.get("unit") or "share"),
        values=_rows(values),
        bright=None if given is None else _rows(_brightness(given)),
        given=None if given is None else _rows(given),
        is_signed=bool((values < 0).any()) or content.get("baseValue") is not None,
    )


def _numbers(given: Any) -> np.ndarray | None:
    try:
        array = np.asarray(restored(given), dtype=np.float64)
    except (ValueError, TypeError, BadRequest):
        return None
    return array if np.isfinite(array).all() else None


def _channels(array: np.ndarray) -> int:
    """The axis of colours: first or last, whichever is short."""
    first, last = array.shape[0], array.shape[2]
    return 0 if first <= _MOST_CHANNELS and first < last else 2


def _flat(values: np.ndarray) -> np.ndarray | None:
    """Shares of channels added up at their place; of those without a sign the largest."""
    if values.ndim == 3:
        axis = _channels(values)
        values = values.sum(axis) if (values < 0).any() else values.max(axis)
    return values if values.ndim == 2 else None


def _picture(case: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """The input averaged over its channels, where it has the map's sides."""
    if isinstance(case, dict) and len(case) == 1 and "$tensor" not in case:
        [case] = case.values()
    array = _numbers(case)
    if array is not None and array.ndim == 3:
        array = array.mean(_channels(array))
    return array if array is not None and array.shape == shape else None


def _brightness(given: np.ndarray) -> np.ndarray:
    low, high = float(given.min()), float(given.max())
    return (given - low) / (high - low) if high > low else np.zeros_like(given)


def _rows(array: np.ndarray) -> Rows:
    return tuple(tuple(float(value) for value in row) for row in array)


def heat_picture(chart: HeatMap) -> SafeString:
    """The shares over the paled picture; what pushes up and what pushes down by colour."""
    values, largest = _coarse(chart.values), chart.largest or 1.0
    up = _cells(np.clip(values / largest, 0, 1), "plus")
    down = _cells(np.clip(-values / largest, 0, 1), "minus")
    return _svg("heat over", values.shape, chart.spoken, [*_ground(chart), *up, *down])


def input_picture(chart: HeatMap) -> SafeString:
    """The picture as the model got it, in greys."""
    size = f"The input, {chart.high} by {chart.wide} places"
    return _svg("heat", _coarse(chart.values).shape, size, _ground(chart))


def _ground(chart: HeatMap) -> list[SafeString]:
    return [] if chart.bright is None else list(_cells(_coarse(chart.bright), "bright"))


def _coarse(rows: Rows) -> np.ndarray:
    """At most so many cells a side, each the mean of the places in it, so that a page stays light;
    files and tables have them all."""
    array = np.asarray(rows)
    block = max(1, -(-max(array.shape) // _MOST_CELLS))
    if block == 1:
        return array
    ends = [np.arange(0, side, block) for side in array.shape]
    sums = np.add.reduceat(np.add.reduceat(array, ends[0], 0), ends[1], 1)
    ones = np.ones_like(array)
    return np.asarray(sums / np.add.reduceat(np.add.reduceat(ones, ends[0], 0), ends[1], 1))


def _cells(shares: np.ndarray, kind: str) -> Iterator[SafeString]:
    """One path for each level of strength, of all cells that have it."""
    levels = np.rint(shares * _LEVELS).astype(int)
    for level in range(1, _LEVELS + 1):
        places = np.argwhere(levels == level)
        if len(places):
            path = "".join(f"M{column} {row}h1v1h-1z" for row, column in places.tolist())
            strength = f"{level / _LEVELS:.2f}"
            yield format_html('<path class="{}" fill-opacity="{}" d="{}"/>', kind, strength, path)


def _svg(kind: str, sides: tuple[int, ...], label: str, marks: list[SafeString]) -> SafeString:
    high, wide = sides
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}" '
        'shape-rendering="crispEdges"><rect class="dark" width="{}" height="{}"/>{}</svg>',
        kind,
        wide,
        high,
        label,
        wide,
        high,
        format_html_join("", "{}", ((mark,) for mark in marks)),
    )

"""How unlike the reference data a case is: its distance to the nearest of them, as a rank.

The distance of two cases is the mean over features, as Gower 1971, Biometrics 27, 857-871: 1 for
different categories, for numbers how far apart they lie. Numbers are put on the scale of their
ranks in the reference, so that one long tail does not hide the rest; beyond the reference the
scale goes on in units of its range, up to one range. A missing value is a category of its own: it
is like another missing one and unlike every value.

The distance to the k nearest says nothing by itself; its rank among the distances of the
reference's own rows, each left out in turn, does: one minus it is a conformal p-value (Laxhammar &
Falkman 2015, Annals of Mathematics and Artificial Intelligence 74, 67-94; Bates et al. 2023,
Annals of Statistics 51, 149-178), up to the one row that a left-out row lacks.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

NEAREST = 5
_MISSING, _UNSEEN = -1, -2
_AT_ONCE = 100_000


@dataclass(frozen=True)
class Novelty:
    """`percentile` is the share of the reference rows that lie nearer to the others than this
    case does: from 0 for a case like any other to nearly 1. `unseen` names features with a
    category that the reference lacks, `outside` those with a number beyond its range."""

    percentile: float
    distance: float
    unseen: tuple[str, ...]
    outside: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference rows made ready: build it once by `reference_of`, ask it for many cases."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    nearest: int
    _sorted: tuple[Floats, ...]
    _codes: tuple[Mapping[str, int], ...]
    _places: Floats
    _kinds: Codes
    _own: Floats

    @property
    def size(self) -> int:
        """The number of reference rows."""
        return len(self._own)


def reference_of(
    columns: Mapping[str, Sequence[Any]], categories: Collection[str], nearest: int = NEAREST
) -> Reference:
    """Makes reference columns ready; those named in `categories` hold categories, others numbers.

    None and NaN are missing values. Time and memory grow with the square of the rows: give a
    sample of a thousand or two.
    """
    numbers = tuple(name for name in columns if name not in categories)
    words = tuple(name for name in columns if name in categories)
    size = len(next(iter(columns.values()), ()))
    if size <= nearest:
        raise ValueError(f"Novelty needs more than {nearest} reference rows, and there are {size}.")
    ordered = tuple(_sorted_numbers(columns[name]) for name in numbers)
    codes = tuple(_codes_of(columns[name]) for name in words)
    places = _placed(columns, numbers, ordered, size)
    kinds = _coded(columns, words, codes, size)
    own = _own_distances(places, kinds, nearest)
    return Reference(numbers, words, nearest, ordered, codes, places, kinds, np.sort(own))


def novelty(reference: Reference, columns: Mapping[str, Sequence[Any]]) -> list[Novelty]:
    """The novelty of cases, given as columns like the reference's; a column left out is missing."""
    size = max((len(values) for values in columns.values()), default=0)
    missing = {name: [None] * size for name in (*reference.numbers, *reference.categories)}
    given = missing | dict(columns)
    places = _placed(given, reference.numbers, reference._sorted, size)
    kinds = _coded(given, reference.categories, reference._codes, size)
    apart = _nearest_apart(places, kinds, reference)
    nearer = np.searchsorted(reference._own, apart - 1e-12) / (reference.size + 1)
    is_unseen, is_outside = kinds == _UNSEEN, (places < 0) | (places > 1)
    return [
        Novelty(
            float(nearer[row]),
            float(apart[row]),
            _named(reference.categories, is_unseen[row]),
            _named(reference.numbers, is_outside[row]),
        )
        for row in range(size)
    ]


def nearest(
    case: Mapping[str, Any],
    columns: Mapping[str, Sequence[Any]],
    categories: Collection[str],
    most: int,
) -> list[tuple[int, float]]:
    """The rows of `columns` that are most like a case, nearest first: place and distance, which is
    0 for the same and 1 for one that differs in every feature. The scale is that of the rows."""
    size = len(next(iter(columns.values()), ()))
    if not size or most < 1:
        return []
    numbers = tuple(name for name in columns if name not in categories)
    words = tuple(name for name in columns if name in categories)
    ordered = tuple(_sorted_numbers(columns[name]) for name in numbers)
    codes = tuple(_codes_of(columns[name]) for name in words)
    own = {name: [case.get(name)] for name in columns}
    apart = _distances(
        _placed(own, numbers, ordered, 1),
        _coded(own, words, codes, 1),
        _placed(columns, numbers, ordered, size),
        _coded(columns, words, codes, size),
    )[0]
    first = np.argsort(apart, kind="stable")[:most]
    return [(int(at), float(min(apart[at], 1.0))) for at in first]


def _own_distances(places: Floats, kinds: Codes, nearest: int) -> Floats:
    """For every row the mean distance to the nearest others."""
    own = np.empty(len(places))
    for rows in _slices(len(places), len(places)):
        apart = _distances(places[rows], kinds[rows], places, kinds)
        apart[np.arange(len(apart)), np.arange(rows.start, rows.stop)] = np.inf
        own[rows] = _mean_of_least(apart, nearest)
    return own


def _nearest_apart(places: Floats, kinds: Codes, reference: Reference) -> Floats:
    """For every case the mean distance to the nearest reference rows."""
    found = np.empty(len(places))
    for rows in _slices(len(places), reference.size):
        apart = _distances(places[rows], kinds[rows], reference._places, reference._kinds)
        found[rows] = _mean_of_least(apart, reference.nearest)
    return found


def _slices(size: int, others: int) -> Iterator[slice]:
    """As many rows at once as a processor's cache takes distances to the others."""
    step = max(1, _AT_ONCE // max(1, others))
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _mean_of_least(apart: Floats, count: int) -> Floats:
    least = np.partition(apart, count - 1, axis=1)[:, :count]
    return np.asarray(least.mean(axis=1), dtype=np.float64)


def _distances(places: Floats, kinds: Codes, others: Floats, other_kinds: Codes) -> Floats:
    """The distance of every case to every other, feature after feature: nothing is held that
    is larger than the answer."""
    total = np.zeros((len(places), len(others)))
    for mine, theirs in zip(places.T, others.T, strict=True):
        total += _gaps(mine, theirs)
    for mine, theirs in zip(kinds.T, other_kinds.T, strict=True):
        total += mine[:, None] != theirs
    total /= max(1, places.shape[1] + kinds.shape[1])
    return total


def _gaps(mine: Floats, theirs: Floats) -> Floats:
    gaps = np.abs(mine[:, None] - theirs)
    my_gaps, their_gaps = np.isnan(mine), np.isnan(theirs)
    if my_gaps.any() or their_gaps.any():
        gaps[my_gaps] = 1.0
        gaps[:, their_gaps] = 1.0
        gaps[np.ix_(my_gaps, their_gaps)] = 0.0
    return gaps


def _placed(
    columns: Mapping[str, Sequence[Any]],
    names: Sequence[str],
    ordered: Sequence[Floats],
    size: int,
) -> Floats:
    """Numbers by their mean rank in the reference, from 0 for its least to 1 for its greatest;
    NaN where missing."""
    placed = np.empty((size, len(names)))
    for at, (name, known) in enumerate(zip(names, ordered, strict=True)):
        placed[:, at] = _place(known, _numbers(columns[name]))
    return placed


def _place(known: Floats, values: Floats) -> Floats:
    if not len(known):
        return np.where(np.isnan(values), np.nan, 2.0)
    low, high = known[0], known[-1]
    if low == high:
        return np.asarray(0.5 + np.sign(values - low), dtype=np.float64)
    first, last = _mean_rank(known, known[[0, -1]])
    rank = (_mean_rank(known, values) - first) / (last - first)
    excess = np.clip(np.maximum(low - values, values - high) / (high - low), 1e-9, 1)
    placed = np.where(values < low, -excess, np.where(values > high, 1 + excess, rank))
    return np.where(np.isnan(values), np.nan, placed)


def _mean_rank(known: Floats, values: Floats) -> Floats:
    """The mean of the places that a value takes, or could take, among the known ones."""
    below = np.searchsorted(known, values, side="left")
    above = np.searchsorted(known, values, side="right")
    return np.asarray((below + above - 1) / 2, dtype=np.float64)


def _coded(
    columns: Mapping[str, Sequence[Any]],
    names: Sequence[str],
    codes: Sequence[Mapping[str, int]],
    size: int,
) -> Codes:
    coded = np.empty((size, len(names)), dtype=np.int64)
    for at, (name, known) in enumerate(zip(names, codes, strict=True)):
        coded[:, at] = [
            _MISSING if _is_missing(value) else known.get(str(value), _UNSEEN)
            for value in columns[name]
        ]
    return coded


def _codes_of(values: Sequence[Any]) -> dict[str, int]:
    found = sorted({str(value) for value in values if not _is_missing(value)})
    return {name: code for code, name in enumerate(found)}


def _sorted_numbers(values: Sequence[Any]) -> Floats:
    given = _numbers(values)
    return np.sort(given[~np.isnan(given)])


def _numbers(values: Sequence[Any]) -> Floats:
    return np.array([np.nan if _is_missing(v) else float(v) for v in values], dtype=np.float64)


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _named(names: Sequence[str], chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen)

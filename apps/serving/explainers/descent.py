"""The search for counterfactuals: neighbours, gradient-less descent, diversity, tightening."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from apps.serving.explainers.changes import Constraints
from apps.serving.explainers.goal import Goal
from apps.serving.explainers.tabular import Asked

Array = np.ndarray
_BINS = np.linspace(0.1, 0.9, 9)
_FROM_NEIGHBOURS = 3
_MOST_PAIRED = 12
_SECTIONS = 7
_ROUNDS = 2
_WIDEST = 8


@dataclass(frozen=True, slots=True)
class Search:
    """At most `most` counterfactuals in which no feature stands more than `repeats` times.

    `desired` is the wanted class, or {"minimum", "maximum"} of a value; `confidence` its least
    probability. Features outside `actionable` (none named: all may change) or in `immutable` stay;
    `monotone` gives increase or decrease by feature, `ranges` a least and greatest number. The
    descent takes `steps` steps of `particles` * `proposals` rows each.
    """

    most: int = 5
    repeats: int = 3
    desired: Any = None
    confidence: float = 0.0
    actionable: list[str] = field(default_factory=list)
    immutable: list[str] = field(default_factory=list)
    monotone: dict[str, Any] = field(default_factory=dict)
    ranges: dict[str, Any] = field(default_factory=dict)
    neighbours: int = 30
    particles: int = 8
    proposals: int = 40
    steps: int = 4

    def __post_init__(self) -> None:
        counts = (self.most, self.repeats, self.neighbours, self.particles, self.proposals)
        if min(counts) < 1 or self.steps < 0 or not 0 <= self.confidence < 1:
            raise ValueError("counts must be at least 1 and confidence from 0 to below 1")


def nearest(code: Array, rows: Array, limits: Constraints, search: Search) -> Array:
    """The rows closest to the explained one, by distance and then position."""
    order = np.argsort(limits.distance(rows, code), kind="stable")
    return rows[order[: search.neighbours]]


def candidates(code: Array, close: Array, limits: Constraints) -> list[Array]:
    """Values to try for each feature: the most frequent ones among the neighbours, binned."""
    found = []
    for at in range(len(code)):
        column = close[:, at]
        column = column[np.isfinite(column)]
        values = _frequent(column, limits.numeric[at]) if len(column) else column
        values = limits.rounded(at, values)
        found.append(np.unique(values[limits.allows(at, values) & (values != code[at])]))
    return found


def _frequent(column: Array, numeric: bool) -> Array:
    """Three values: medians of the fullest tenths of a number's range, or categories."""
    bins = np.digitize(column, np.unique(np.quantile(column, _BINS))) if numeric else column
    kinds, counts = np.unique(bins, return_counts=True)
    fullest = kinds[np.argsort(-counts, kind="stable")[:_FROM_NEIGHBOURS]]
    middle = [np.sort(column[bins == kind])[(bins == kind).sum() // 2] for kind in fullest]
    if numeric:
        middle += [column.min(), column.max()]
    return np.array(middle)


def searched(
    code: Array,
    close: Array,
    limits: Constraints,
    goal: Goal,
    asked: Asked,
    search: Search,
    random: np.random.Generator,
) -> Array:
    """Rows with the wanted answer, the least changed first, freed of changes that none needs."""
    values = candidates(code, close, limits)
    singles = np.array(list(_singles(code, values))).reshape(-1, len(code))
    if not len(singles):
        return singles
    rows = np.concatenate([singles, _projected(code, close[: search.particles], limits)])
    margins = goal.margins(asked.outputs(rows))
    pairs = np.array(list(_pairs(code, singles, margins[: len(singles)]))).reshape(-1, len(code))
    for step in range(search.steps):
        particles = _best(rows, margins, code, limits, search.particles)
        radius = max(1, _WIDEST >> step)
        further = _proposed(particles, code, values, radius, search, random)
        if not step:
            further = np.concatenate([pairs, further])
        rows = np.concatenate([rows, further])
        margins = np.concatenate([margins, goal.margins(asked.outputs(further))])
    pool = _ordered(np.unique(rows[margins > 0], axis=0), code, limits)
    return _freed(pool[: search.most * 6], code, limits, goal, asked)


def _singles(code: Array, values: list[Array]) -> Iterator[Array]:
    for at, each in enumerate(values):
        for value in each:
            row = code.copy()
            row[at] = value
            yield row


def _pairs(code: Array, singles: Array, margins: Array) -> Iterator[Array]:
    """Two of the changes that alone come closest, of different features."""
    best = singles[np.argsort(-margins, kind="stable")[:_MOST_PAIRED]]
    for one, other in combinations(best, 2):
        changed, further = differs(one, code), differs(other, code)
        if not (changed & further).any():
            yield np.where(further, other, one)


def _projected(code: Array, close: Array, limits: Constraints) -> Array:
    """Neighbours in what may change, the row itself in the rest."""
    allowed = np.column_stack([limits.allows(at, close[:, at]) for at in range(len(code))])
    return np.where(allowed, close, code)


def _loss(rows: Array, margins: Array, code: Array, limits: Constraints) -> Array:
    """Missing the answer weighs most, then the number of changes, then their size."""
    missed = np.maximum(-margins, 0.0)
    total: Array = 100.0 * missed + differs(rows, code).sum(axis=1)
    return total + 0.2 * limits.distance(rows, code)


def _best(rows: Array, margins: Array, code: Array, limits: Constraints, count: int) -> Array:
    """The particles: half the best of all, half the best among those that reach the answer."""
    order = np.argsort(_loss(rows, margins, code, limits), kind="stable")
    valid = order[margins[order] > 0][: count // 2]
    rest = order[~np.isin(order, valid)]
    return np.asarray(rows[np.concatenate([valid, rest])[:count]])


def _proposed(
    particles: Array,
    code: Array,
    values: list[Array],
    radius: int,
    search: Search,
    random: np.random.Generator,
) -> Array:
    """Around each particle, rows that differ in up to `radius` features: other values, or none."""
    free = np.flatnonzero([len(each) for each in values])
    rows = np.repeat(particles, search.proposals, axis=0)
    order = random.random((len(rows), len(free))).argsort(axis=1, kind="stable")
    for chosen in order[:, :radius].T:
        places = free[chosen]
        draws = random.random((2, len(rows)))
        counts = np.array([len(each) for each in values])[places]
        picked = (draws[0] * counts).astype(int)
        other = [values[at][pick] for at, pick in zip(places, picked, strict=True)]
        rows[np.arange(len(rows)), places] = np.where(draws[1] < 0.5, code[places], other)
    return rows


def _ordered(rows: Array, code: Array, limits: Constraints) -> Array:
    """The least changed first, then the closest, then by value."""
    keys = (*reversed(rows.T), limits.distance(rows, code), differs(rows, code).sum(axis=1))
    return rows[np.lexsort(keys)]


def _freed(rows: Array, code: Array, limits: Constraints, goal: Goal, asked: Asked) -> Array:
    """The rows without the changes that the answer does not need, ordered, each once."""
    rows = rows.copy()
    while True:
        places = np.argwhere(differs(rows, code))
        if not len(places):
            break
        reverted = rows[places[:, 0]]
        reverted[np.arange(len(places)), places[:, 1]] = code[places[:, 1]]
        needless = goal.margins(asked.outputs(reverted)) > 0
        needless &= differs(reverted, code).any(axis=1)
        first = {int(row): at for at, (row, _) in reversed(list(enumerate(places))) if needless[at]}
        if not first:
            break
        for row, at in first.items():
            rows[row] = reverted[at]
    return _ordered(np.unique(rows, axis=0), code, limits)


def diverse(pool: Array, code: Array, limits: Constraints, search: Search) -> Array:
    """The first of each set of features, no feature more often than allowed."""
    used = np.zeros(len(code), dtype=int)
    seen: set[bytes] = set()
    chosen = []
    for row in pool:
        changed = differs(row, code)
        if changed.tobytes() in seen or (used[changed] >= search.repeats).any():
            continue
        seen.add(changed.tobytes())
        used += changed
        chosen.append(row)
        if len(chosen) == search.most:
            break
    return np.array(chosen).reshape(-1, len(code))


def tightened(rows: Array, code: Array, limits: Constraints, goal: Goal, asked: Asked) -> Array:
    """Numbers moved back towards the row while the answer stays: of all rows at once, each row's
    changes in the order of the features."""
    rows = rows.copy()
    numbers = differs(rows, code) & limits.numeric & np.isfinite(code)
    for rank in range(int(numbers.sum(axis=1).max(initial=0))):
        places = numbers & (numbers.cumsum(axis=1) == rank + 1)
        for _ in range(_ROUNDS):
            _step_back(rows, np.argwhere(places), code, limits, goal, asked)
    return _ordered(np.unique(rows, axis=0), code, limits) if len(rows) else rows


def _step_back(
    rows: Array, places: Array, code: Array, limits: Constraints, goal: Goal, asked: Asked
) -> None:
    """Sets each place (row, feature) to the valid one, of some in between, nearest the row's own.

    The points halve the way again and again, so the first round finds the size of the change and
    the second its digits.
    """
    shares = np.sort(np.append(0.5 ** np.arange(_SECTIONS, 0, -1), 0.75))
    row, at = places.T
    points = code[at, None] + np.outer(rows[row, at] - code[at], shares)
    points = np.array([limits.rounded(a, p) for a, p in zip(at, points, strict=True)])
    tried = np.repeat(rows[row], len(shares), axis=0)
    tried[np.arange(len(tried)), np.repeat(at, len(shares))] = points.ravel()
    good = (goal.margins(asked.outputs(tried)) > 0).reshape(points.shape)
    good &= points != code[at, None]
    some = good.any(axis=1)
    rows[row[some], at[some]] = points[some, good.argmax(axis=1)[some]]


def differs(rows: Array, code: Array) -> Array:
    """Where rows have another value than the explained one; missing equals missing."""
    different: Array = (rows != code) & ~(np.isnan(rows) & np.isnan(code))
    return different

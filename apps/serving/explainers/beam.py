"""The search for rules of high precision on rows whose answers are known: bounds and beam."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Rule = tuple[int, ...]
_BISECTIONS = 30


@dataclass(frozen=True, slots=True)
class Search:
    """What a rule must keep, and how far it is sought.

    A rule is given where at least `threshold` of its rows on the certifying half are answered the
    same and the lower bound of that precision is at most `tolerance` below the threshold; the
    bounds of the at most `candidates` rules that are tried there share the error `delta`. `width`
    is how far from a predicted value counts as the same (0: half a standard deviation).
    """

    threshold: float = 0.95
    tolerance: float = 0.12
    delta: float = 0.05
    beam: int = 8
    conditions: int = 4
    candidates: int = 5
    support: int = 15
    width: float = 0.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.threshold <= 1 or not 0 <= self.tolerance < self.threshold:
            raise ValueError("threshold must be 0.5 to 1 and tolerance below it")
        if not 0 < self.delta < 1:
            raise ValueError("delta must be between 0 and 1")
        if min(self.beam, self.conditions, self.candidates, self.support) < 1 or self.width < 0:
            raise ValueError("beam, conditions, candidates and support must be at least 1")


@dataclass(frozen=True, slots=True)
class _Grade:
    """How a rule does on the rows that it is sought on."""

    lower: float
    precision: float
    support: int


def kl_lower_bound(successes: Array, trials: Array, delta: float) -> Array:
    """The least p with trials * KL(successes / trials, p) <= ln(1 / delta); 0 without trials.

    Chernoff's bound of a proportion: it exceeds the truth with a probability of at most delta.
    """
    counts = np.maximum(np.asarray(trials, dtype=np.float64), 1e-9)
    mean = np.asarray(successes, dtype=np.float64) / counts
    level = np.log(1 / delta) / counts
    low, high = np.zeros_like(mean), mean.copy()
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        outside = _divergence(mean, middle) > level
        low, high = np.where(outside, middle, low), np.where(outside, high, middle)
    return low


def _divergence(p: Array, q: Array) -> Array:
    """Kullback and Leibler's, of Bernoulli distributions."""
    q = np.clip(q, 1e-15, 1 - 1e-15)
    yes = p * np.log(np.maximum(p, 1e-300) / q)
    no = (1 - p) * np.log(np.maximum(1 - p, 1e-300) / (1 - q))
    total: Array = yes + no
    return total


def seek(met: Array, same: Array, kinds: Sequence[Hashable], search: Search) -> list[Rule]:
    """The rules to certify, the surest first: a beam search over conjunctions of predicates.

    `met` of shape (rows, predicates) says which rows meet a predicate, `same` of shape (rows,)
    which are answered as the explained one; two predicates of one kind never go together. Where
    almost all rows are answered the same, the rule without conditions is one of them.
    """
    matrix, hits = met.astype(np.float32), same.astype(np.float32)
    found: dict[Rule, _Grade] = {}
    everywhere = _Grade(float(_bound(hits, search)), float(hits.mean()), len(hits))
    beam: list[Rule] = [()]
    graded: dict[Rule, _Grade] = {(): everywhere}
    for _ in range(search.conditions + 1):
        found |= {rule: grade for rule, grade in graded.items() if _promising(grade, search)}
        beam = sorted(graded, key=lambda rule: (-graded[rule].lower, rule))[: search.beam]
        graded = _grown(matrix, hits, kinds, beam, search) if beam else {}
    if () in found:
        return [()]
    ranked = sorted(found, key=lambda rule: (-found[rule].lower, len(rule), rule))
    return ranked[: search.candidates]


def _bound(hits: Array, search: Search) -> float:
    bound = kl_lower_bound(np.array([hits.sum()]), np.array([len(hits)]), search.delta)
    return float(bound[0])


def _promising(grade: _Grade, search: Search) -> bool:
    sure = grade.lower >= search.threshold - search.tolerance
    return sure and grade.precision >= search.threshold


def _grown(
    matrix: Array, hits: Array, kinds: Sequence[Hashable], beam: list[Rule], search: Search
) -> dict[Rule, _Grade]:
    """Every rule of the beam with one predicate more that leaves out some rows, not too many."""
    members = np.array([matrix[:, list(rule)].all(axis=1) for rule in beam], dtype=np.float32)
    trials, successes = members @ matrix, (members * hits) @ matrix
    narrower = (trials >= search.support) & (trials < members.sum(axis=1)[:, None])
    lower = np.zeros(trials.shape)
    lower[narrower] = kl_lower_bound(successes[narrower], trials[narrower], search.delta)
    grown = {}
    for row, rule in enumerate(beam):
        taken = {kinds[at] for at in rule}
        for at in _best(lower[row], narrower[row], search.beam):
            if kinds[at] not in taken:
                precision = float(successes[row, at] / trials[row, at])
                grade = _Grade(float(lower[row, at]), precision, int(trials[row, at]))
                grown[tuple(sorted((*rule, at)))] = grade
    return grown


def _best(lower: Array, allowed: Array, beam: int) -> list[int]:
    """The surest predicates to add, several times as many as the beam keeps; ties by position."""
    order = np.argsort(-np.where(allowed, lower, -1.0), kind="stable")[: beam * 4]
    kept: list[int] = order[allowed[order]].tolist()
    return kept

"""Two revisions beside each other: importances and curves on shared axes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from apps.explanations.drawing import Curve, Ranking, paired
from apps.explanations.general import Beliefs

_RANKINGS = ("contributions", "permutation")


def rankings_of(beliefs: Beliefs, other: Beliefs | None) -> Iterator[tuple[str, Any, Any]]:
    """Name, chart, and the other revision's own chart where the two share no axis."""
    for kind in _RANKINGS:
        mine = beliefs.chart(kind)
        if mine is None:
            continue
        twin = other.chart(kind) if other else None
        both = paired(mine, twin, _names(beliefs, other)) if other and twin else None
        yield kind, both or mine, None if both else twin


def beside(beliefs: Beliefs, other: Beliefs | None) -> list[Curve]:
    """The curves with those of another revision, where it has one of the feature in that unit."""
    theirs = _keyed(other.curves) if other else {}
    drawn = []
    for key, curve in _keyed(beliefs.curves).items():
        twin = theirs.get(key)
        fits = twin is not None and (twin.unit, twin.is_line) == (curve.unit, curve.is_line)
        twins = ((str(other.revision), twin),) if fits and other and twin else ()
        drawn.append(replace(curve, twins=twins, own=str(beliefs.revision) if twins else ""))
    return drawn


def _keyed(curves: list[Curve]) -> dict[tuple[str, int], Curve]:
    """By feature and place among those of the feature, of which there is one for each class."""
    seen: Counter[str] = Counter()
    keyed = {}
    for curve in curves:
        keyed[curve.name, seen[curve.name]] = curve
        seen[curve.name] += 1
    return keyed


def chart_of(beliefs: Beliefs, other: Beliefs | None, name: str) -> Any:
    """The chart of a name in an address, with the other revision's; None where there is none."""
    drawn = beliefs.chart(name)
    if isinstance(drawn, Curve):
        return beside(beliefs, other)[beliefs.curves.index(drawn)]
    if isinstance(drawn, Ranking) and other is not None:
        twin = other.chart(name)
        return (paired(drawn, twin, _names(beliefs, other)) if twin else None) or drawn
    return drawn


def _names(beliefs: Beliefs, other: Beliefs | None) -> tuple[str, str]:
    return str(beliefs.revision), str(other.revision if other else "")

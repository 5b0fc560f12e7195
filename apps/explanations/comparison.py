"""Two revisions beside each other: importances and curves on shared axes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.utils.safestring import SafeString

from apps.explanations.drawing import Bar, Curve, Ranking, Scale, bar_strip
from apps.explanations.general import Beliefs

_RANKINGS = ("contributions", "permutation")


@dataclass(frozen=True, slots=True)
class PairedRanking:
    """The features of two rankings in one unit, by the order of the first; None where one of them
    does not know the feature."""

    title: str
    unit: str
    names: tuple[str, str]
    rows: tuple[tuple[str, Bar | None, Bar | None], ...]

    is_paired = True

    @property
    def scale(self) -> Scale:
        bars = [bar for _, *both in self.rows for bar in both if bar]
        ends = [0.0] + [x for b in bars for x in (b.part, b.low or 0.0, b.high or 0.0)]
        return Scale.over(ends)

    @property
    def drawn(self) -> Iterator[tuple[str, list[tuple[str, str, SafeString | str]]]]:
        """Label, and for each revision its name, number and picture."""
        scale = self.scale
        for label, *both in self.rows:
            yield (
                label,
                [
                    (name, bar.number, bar_strip(scale, bar, kind)) if bar else (name, "–", "")
                    for name, kind, bar in zip(self.names, ("accent", "twin"), both, strict=True)
                ],
            )

    def table(self) -> tuple[list[str], list[list[Any]]]:
        heads = ["Feature"]
        for name in self.names:
            heads += [f"{name}, {self.unit}", "95 % from", "to"]
        rows: list[list[Any]] = []
        for label, *both in self.rows:
            numbers = [x for b in both for x in ((b.part, b.low, b.high) if b else [None] * 3)]
            rows.append([label, *numbers])
        return heads, rows


def paired(mine: Ranking, other: Ranking, names: tuple[str, str]) -> PairedRanking | None:
    """Both on one axis; None where their units differ, so that no axis serves both."""
    if mine.unit != other.unit:
        return None
    first, second = ({bar.name: bar for bar in each.bars} for each in (mine, other))
    rows = tuple(
        ((first.get(name) or second[name]).label, first.get(name), second.get(name))
        for name in dict.fromkeys([*first, *second])
    )
    return PairedRanking(mine.title, mine.unit, names, rows)


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

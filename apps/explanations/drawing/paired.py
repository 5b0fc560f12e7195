"""The importances of two revisions beside each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from apps.explanations.drawing.importance import Ranking, bar_strip
from apps.explanations.drawing.marks import Bar, Scale


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

"""The heat map of interactions: which pairs of features act together, and how far."""

from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.explanations.drawing import WIDE, strip
from apps.explanations.words import Words, percent, plain_number

_HIGH, _GAP = 20.0, 6.0
_PALEST = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """Two features: how far they act together in the score's unit, and which share of all that
    the two do that is."""

    one: str
    two: str
    size: float
    share: float

    @property
    def words(self) -> str:
        return f"{self.one} with {self.two}"


@dataclass(frozen=True, slots=True)
class InteractionMap:
    """`pairs` by the positions of their features in `labels`, the later one first."""

    labels: tuple[str, ...]
    pairs: dict[tuple[int, int], Pair]
    unit: str
    outcome: Any
    rows: int

    title = "What acts together"

    @property
    def ordered(self) -> list[Pair]:
        return sorted(self.pairs.values(), key=lambda pair: -pair.size)

    @property
    def most(self) -> float:
        return max(pair.size for pair in self.pairs.values())

    @property
    def most_shown(self) -> str:
        return f"{plain_number(self.most)} {self.unit}"

    @property
    def sentence(self) -> str:
        """The strongest pair, or that there is none."""
        first = self.ordered[0]
        if not first.size:
            return "No pair of these features acts together: what each does adds up."
        return (
            f"{first.words} most: {plain_number(first.size)} {self.unit}, {percent(first.share)} "
            "of what the two do."
        )

    @property
    def lines(self) -> list[tuple[int, str, SafeString]]:
        """Number, label and picture of each row."""
        return [(at + 1, label, self._line(at)) for at, label in enumerate(self.labels)]

    def _line(self, row: int) -> SafeString:
        wide = WIDE / len(self.labels)
        cells = [self._cell(self.pairs[row, at], at * wide, wide) for at in range(row)]
        own = _rect("own", row * wide, wide, 1.0, self.labels[row])
        spoken = "; ".join(
            f"with {self.labels[at]} {plain_number(self.pairs[row, at].size)}" for at in range(row)
        )
        label = f"{self.labels[row]}: {spoken}" if row else ""
        return strip(*cells, own, kind="strip interactions", high=_HIGH, label=label)

    def _cell(self, pair: Pair, left: float, wide: float) -> SafeString:
        depth = _PALEST + (1 - _PALEST) * (pair.size / self.most if self.most else 0.0)
        title = f"{pair.words}: {plain_number(pair.size)} {self.unit}, {percent(pair.share)}"
        return _rect("accent", left, wide, depth, title)

    def table(self) -> tuple[list[str], list[list[Any]]]:
        heads = ["Pair", f"Together, {self.unit}", "Share of what the two do"]
        return heads, [[pair.words, pair.size, pair.share] for pair in self.ordered]


def interaction_map(found: dict[str, Any], words: Words) -> InteractionMap:
    """What an explainer's summary of interactions says."""
    names = found["features"]
    pairs = {}
    for each in found["pairs"]:
        early, late = sorted(names.index(name) for name in each["features"])
        one, two = words.label(names[early]), words.label(names[late])
        pairs[late, early] = Pair(one, two, each["size"], each["share"])
    labels = tuple(words.label(name) for name in names)
    return InteractionMap(labels, pairs, found["unit"], found["class"], found["rows"])


def _rect(kind: str, left: float, wide: float, depth: float, title: str) -> SafeString:
    return format_html(
        '<rect class="{}" x="{}" y="1" width="{}" height="{}" fill-opacity="{}">'
        "<title>{}</title></rect>",
        kind,
        f"{left + _GAP / 2:.1f}",
        f"{wide - _GAP:.1f}",
        f"{_HIGH - 2:g}",
        f"{depth:.3f}",
        title,
    )

"""What single reviewers did, and how far several agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.feedback.counts import Answered, Pattern
from apps.feedback.statistics.agreement import Kappa, cohen_kappa, fleiss_kappa
from apps.feedback.statistics.overrides import Difference, Revealed, difference
from apps.feedback.statistics.pace import Pace, Reviewing, paces
from apps.feedback.statistics.proportions import Share, wilson

_MOST_PAIRS = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Two reviewers on the cases that both judged."""

    first: str
    second: str
    kappa: Kappa


def fleiss(patterns: list[Pattern]) -> Kappa:
    labels = sorted({label for each in patterns for _, label in each.said})
    place = {label: index for index, label in enumerate(labels)}
    table = np.zeros((len(patterns), len(labels)))
    for row, each in enumerate(patterns):
        for _, label in each.said:
            table[row, place[label]] += 1
    return fleiss_kappa(np.repeat(table, [each.count for each in patterns], axis=0))


def pairs(patterns: list[Pattern], names: dict[str, str]) -> list[Pair]:
    """Cohen's kappa of every two who judged the same cases, those with most of them first."""
    both: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for each in patterns:
        for place, (one, said) in enumerate(each.said):
            for other, answered in each.said[place + 1 :]:
                both[one, other][said, answered] += each.count
    ordered = sorted(both, key=lambda pair: -both[pair].total())[:_MOST_PAIRS]
    return [Pair(names[one], names[other], _cohen(both[one, other])) for one, other in ordered]


def _cohen(said: Counter[tuple[str, str]]) -> Kappa:
    first = [one for (one, _), count in said.items() for _ in range(count)]
    second = [other for (_, other), count in said.items() for _ in range(count)]
    return cohen_kappa(first, second, sorted({*first, *second}))


def paces_of(answered: list[Answered]) -> list[Pace]:
    """Assisted answers with their time; seeded ones say how many known errors were found."""
    found: dict[str, list[Answered]] = defaultdict(list)
    for each in answered:
        found[each.reviewer].append(each)
    return paces([_reviewing(rows) for rows in found.values()])


def _reviewing(rows: list[Answered]) -> Reviewing:
    timed = [
        each
        for each in rows
        if not each.is_seeded
        and each.tenths is not None
        and each.first_alike is None
        and each.verdict in ("agree", "disagree")
    ]
    counts = [each.count for each in timed]
    seconds = np.repeat([(each.tenths or 0) / 10 for each in timed], counts)
    agreed = np.repeat([each.verdict == "agree" for each in timed], counts)
    found = seeded_of(rows)
    return Reviewing(
        rows[0].name, tuple(seconds.tolist()), tuple(agreed.tolist()), found.n, found.count
    )


def seeded_of(answered: list[Answered]) -> Share:
    rows = [each for each in answered if each.is_seeded]
    return wilson(total(each for each in rows if each.verdict == "disagree"), total(rows))


def assisted(answered: list[Answered]) -> Difference:
    """Agreement in assisted mode less that of blind first answers."""
    fresh = [each for each in answered if not each.is_seeded]
    assisted = [e for e in fresh if e.first_alike is None and e.verdict in ("agree", "disagree")]
    blind = [each for each in fresh if each.first_alike is not None]
    return difference(
        total(each for each in assisted if each.verdict == "agree"),
        total(assisted),
        total(each for each in blind if each.first_alike),
        total(blind),
    )


def revealed(answered: list[Answered]) -> Revealed:
    """What became of blind first answers when the model's was shown."""
    rows = [each for each in answered if not each.is_seeded and each.first_alike is not None]
    apart = [each for each in rows if not each.first_alike]
    alike = [each for each in rows if each.first_alike]
    return Revealed(
        differed=wilson(total(apart), total(rows)),
        moved=wilson(total(each for each in apart if each.verdict == "agree"), total(apart)),
        left=wilson(total(each for each in alike if each.verdict == "disagree"), total(alike)),
    )


def total(rows: Iterable[Any]) -> int:
    """The sum of the counts of some rows."""
    return sum(each.count for each in rows)

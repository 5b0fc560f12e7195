"""The figures of feedback: from counts of a period and the rollups to shares with intervals."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection

from apps.deployments.models import Deployment
from apps.deployments.services import model_of
from apps.feedback.counts import Counts, Judged, Known, Period, counts_of
from apps.feedback.statistics.agreement import Kappa
from apps.feedback.statistics.overrides import (
    Difference,
    Revealed,
    Turnaround,
    turnaround,
)
from apps.feedback.statistics.pace import Pace
from apps.feedback.statistics.proportions import Share, StreamShare, stream_share, wilson
from apps.monitoring.feedback import people
from apps.monitoring.feedback.people import Pair, total
from apps.monitoring.histograms import amount_of
from apps.monitoring.sums import hour_of

PERIODS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}
_BY_WEEK = 60
_GROUPS = 4
_MOST_CLASSES = 12
_PREDICTIONS = """
SELECT sum(predictions)::bigint FROM monitoring_distribution
WHERE deployment_id = %(deployment)s AND at >= %(start)s AND at < %(end)s
"""
_AMOUNTS = """
SELECT bin::int, sum(n::bigint)::bigint
FROM monitoring_distribution, jsonb_each_text(amounts) AS each (bin, n)
WHERE deployment_id = %(deployment)s AND at >= %(start)s AND at < %(end)s GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Point:
    """The disagreement of one day or week, plain, and for the stream where a queue gives it."""

    at: datetime
    share: Share
    stream: StreamShare | None


@dataclass(frozen=True, slots=True)
class Group:
    """The disagreement with one class, group of numbers, or person."""

    name: str
    share: Share


@dataclass(frozen=True, slots=True)
class Stream:
    """What a queue says of all predictions that it looked at."""

    name: str
    share: StreamShare


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of a day or week, or of all: the share that actuals confirm, or the mean absolute error."""

    at: datetime | None
    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a period. `reviewers`, `pairs` and `paces` speak of single people."""

    period: Period
    is_number: bool
    predictions: int
    coverage: Share
    disagreement: Share
    overrides: Share
    unsure: int
    points: list[Point]
    groups: list[Group]
    reviewers: list[Group]
    streams: list[Stream]
    fleiss: Kappa
    pairs: list[Pair]
    paces: list[Pace]
    seeded: Share
    assisted: Difference
    revealed: Revealed
    turnaround: Turnaround
    accuracy: Accuracy
    accuracies: list[Accuracy]

    @property
    def is_empty(self) -> bool:
        return not (self.coverage.count or self.accuracy.n or self.turnaround.waiting)

    @property
    def warned(self) -> int:
        return sum(each.is_suspicious for each in self.paces)


def feedback_of(deployment: Deployment, *, days: int, now: datetime) -> Figures:
    """The figures of the last `days` days, in a fixed number of queries."""
    end = hour_of(now) + timedelta(hours=1)
    period = Period(end - timedelta(days=days), end, "week" if days > _BY_WEEK else "day")
    span = {"deployment": deployment.id, "start": period.start, "end": period.end}
    is_number = _is_number(deployment)
    edges = _edges(_select(_AMOUNTS, span)) if is_number else None
    counts = counts_of(deployment, period, now=now, edges=edges)
    predictions = _select(_PREDICTIONS, span)[0][0] or 0
    return _figures(period, counts, predictions, edges)


def _figures(
    period: Period, counts: Counts, predictions: int, edges: Sequence[float] | None
) -> Figures:
    clear = [each for each in counts.judged if each.verdict != "unsure"]
    names = {each.author: each.name for each in counts.judged}
    streams, by_bucket = _streams(counts)
    answered = counts.answered
    return Figures(
        period=period,
        is_number=edges is not None,
        predictions=predictions,
        coverage=wilson(counts.evaluated, max(predictions, counts.evaluated)),
        disagreement=_disagreement(clear),
        overrides=wilson(total(each for each in clear if each.overrode), total(clear)),
        unsure=total(counts.judged) - total(clear),
        points=_points(clear, by_bucket),
        groups=_groups(clear, edges),
        reviewers=_by(clear, lambda each: names[each.author]),
        streams=streams,
        fleiss=people.fleiss(counts.patterns),
        pairs=people.pairs(counts.patterns, names),
        paces=people.paces_of(answered),
        seeded=people.seeded_of(answered),
        assisted=people.assisted(answered),
        revealed=people.revealed(answered),
        turnaround=_turnaround(counts),
        accuracy=_accuracy(None, counts.known, edges is not None),
        accuracies=[_accuracy(each.at, [each], edges is not None) for each in _ordered(counts)],
    )


def _is_number(deployment: Deployment) -> bool:
    revision = deployment.active_revision or deployment.revisions.first()
    if revision is None:
        return False
    return bool(model_of(revision).metadata.get("problemType") == "regression")


def _edges(amounts: list[tuple[Any, ...]]) -> list[float]:
    """Where the predicted numbers part into four groups of about equal size; from the rollups,
    within the width of their bins."""
    total = sum(n for _, n in amounts)
    found, seen, wanted = [], 0, [total * k / _GROUPS for k in range(1, _GROUPS)]
    for number, n in amounts[:-1]:
        seen += n
        if wanted and seen >= wanted[0]:
            found.append(amount_of(number))
            wanted = [each for each in wanted if each > seen]
    return found


def _disagreement(judged: Iterable[Judged]) -> Share:
    rows = list(judged)
    return wilson(total(each for each in rows if each.verdict == "disagree"), total(rows))


def _by(judged: Iterable[Judged], key: Any) -> list[Group]:
    found: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        found[key(each)].append(each)
    groups = [Group(name, _disagreement(rows)) for name, rows in found.items()]
    return sorted(groups, key=lambda each: (-each.share.n, each.name))


def _groups(judged: list[Judged], edges: Sequence[float] | None) -> list[Group]:
    """By class, the most judged first; of numbers by their group, in order."""
    known = [each for each in judged if each.group is not None]
    if edges is None:
        return _by(known, lambda each: each.group)[:_MOST_CLASSES]
    limits = [None, *edges, None]
    found = {each.name: each.share for each in _by(known, lambda each: each.group)}
    return [
        Group(_between(low, high), found.get(str(place), wilson(0, 0)))
        for place, (low, high) in enumerate(zip(limits, limits[1:], strict=False))
    ]


def _between(low: float | None, high: float | None) -> str:
    if low is None:
        return "all" if high is None else f"up to {high:,.4g}"
    return f"above {low:,.4g}" if high is None else f"{low:,.4g} to {high:,.4g}"


def _streams(counts: Counts) -> tuple[list[Stream], dict[datetime, StreamShare]]:
    """What each queue says of its stream; and, by day or week, the one that looked at most."""
    looked: dict[UUID, Counter[datetime]] = defaultdict(Counter)
    names = {}
    for each in counts.looked:
        looked[each.queue][each.at] += each.count
        names[each.queue] = each.name
    ordered = sorted(looked, key=lambda queue: -looked[queue].total())
    of_queue = {q: [row for row in counts.in_queue if row.queue == q] for q in ordered}
    streams = [Stream(names[q], _stream(of_queue[q], looked[q].total())) for q in ordered]
    if not ordered:
        return [], {}
    main = ordered[0]
    return streams, {
        at: _stream([row for row in of_queue[main] if row.at == at], population)
        for at, population in looked[main].items()
    }


def _stream(rows: list[Any], population: int) -> StreamShare:
    counts = [row.count for row in rows]
    disagreed = np.repeat([float(row.disagreed) for row in rows], counts)
    probability = np.repeat([row.probability for row in rows], counts)
    return stream_share(disagreed, probability, max(population, len(disagreed)))


def _points(judged: list[Judged], streams: dict[datetime, StreamShare]) -> list[Point]:
    found: dict[datetime, list[Judged]] = defaultdict(list)
    for each in judged:
        found[each.at].append(each)
    return [Point(at, _disagreement(found[at]), streams.get(at)) for at in sorted(found)]


def _turnaround(counts: Counts) -> Turnaround:
    done, waiting = (
        np.repeat([each.seconds for each in rows], [each.count for each in rows])
        for rows in (
            [each for each in counts.waited if each.is_done],
            [each for each in counts.waited if not each.is_done],
        )
    )
    return turnaround(done, waiting, shares=(0.5, 0.9))


def _ordered(counts: Counts) -> list[Known]:
    return sorted(counts.known, key=lambda each: each.at)


def _accuracy(at: datetime | None, known: list[Known], is_number: bool) -> Accuracy:
    n = total(known)
    if not is_number:
        share = wilson(sum(each.right for each in known), n)
        is_known = share.value is not None
        low, high = (share.low, share.high) if is_known else (None, None)
        return Accuracy(at, n, share.value, low, high)
    if not n:
        return Accuracy(at, 0, None, None, None)
    mean = sum(each.error for each in known) / n
    if n == 1:
        return Accuracy(at, n, mean, None, None)
    spread = max(sum(each.error2 for each in known) - n * mean**2, 0.0) / (n - 1)
    half = 1.959964 * math.sqrt(spread / n)
    return Accuracy(at, n, mean, max(0.0, mean - half), mean + half)


def _select(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

"""Reads the rollups: traffic, response times and the mix of predictions, never the log."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.deployments.models import Deployment
from apps.monitoring.histograms import Counts, quantile, total
from apps.monitoring.models import Distribution
from apps.monitoring.sums import hour_of

_HOUR = timedelta(hours=1)
_SHOWN_CLASSES = 3

# The hours of this period and of the one before it; the hour in which the one before begins to
# overlap is read by the minute, so that both are of one length to the minute.
_ROWS = """
  SELECT deployment_id, at, requests, predictions, client_errors, server_errors, latency
  FROM monitoring_traffichour
  WHERE deployment_id = ANY(%(ids)s) AND at >= %(before)s AND at < %(end)s AND at <> %(edge)s
  UNION ALL
  SELECT deployment_id, %(edge)s, requests, predictions, client_errors, server_errors, latency
  FROM monitoring_trafficminute
  WHERE deployment_id = ANY(%(ids)s) AND at >= %(edge)s AND at < %(cut)s
"""
_COUNTS = f"""
SELECT deployment_id, at, sum(requests)::bigint, sum(predictions)::bigint,
  sum(client_errors)::bigint, sum(server_errors)::bigint
FROM ({_ROWS}) AS rows GROUP BY 1, 2
"""  # noqa: S608  built from constants
_LATENCIES = f"""
SELECT deployment_id, at >= %(start)s, bin, sum(n::bigint)::bigint
FROM ({_ROWS}) AS rows, jsonb_each_text(latency) AS each (bin, n) GROUP BY 1, 2, 3
"""  # noqa: S608  built from constants
_LATENCIES_BY_HOUR = f"""
SELECT at, bin, sum(n::bigint)::bigint
FROM ({_ROWS}) AS rows, jsonb_each_text(latency) AS each (bin, n)
WHERE at >= %(start)s GROUP BY 1, 2
"""  # noqa: S608  built from constants


@dataclass(frozen=True, slots=True)
class Bucket:
    """One hour. `errors` are refused and failed requests together."""

    at: datetime
    requests: int = 0
    predictions: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """Sums over some hours; the response times are estimates from histograms, in microseconds."""

    requests: int = 0
    predictions: int = 0
    client_errors: int = 0
    server_errors: int = 0
    p50_us: float | None = None
    p95_us: float | None = None

    @property
    def errors(self) -> int:
        return self.client_errors + self.server_errors

    @property
    def error_share(self) -> float | None:
        return self.errors / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Traffic:
    """The hours of a period, their sum, and the sum of as many hours before."""

    buckets: list[Bucket]
    now: Period
    before: Period

    @property
    def is_empty(self) -> bool:
        return not (self.now.requests or self.before.requests)


@dataclass(frozen=True, slots=True)
class Share:
    """How often a class was predicted: in all, as a share, in each hour, and before."""

    outcome: str
    count: int
    share: float
    hours: list[float]
    share_before: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What one deployment did in a period. `p50s` and `p95s` go by the hour."""

    traffic: Traffic
    p50s: list[float | None]
    p95s: list[float | None]
    mix: list[Share]


@dataclass(frozen=True, slots=True)
class _Span:
    """`hours` hours that end with the one of `now`, and where the period before them lies."""

    now: datetime
    hours: int
    starts: list[datetime] = field(init=False)

    def __post_init__(self) -> None:
        last = hour_of(self.now)
        starts = [last - (self.hours - 1 - each) * _HOUR for each in range(self.hours)]
        object.__setattr__(self, "starts", starts)

    def parameters(self, deployment_ids: Collection[UUID]) -> dict[str, Any]:
        period = self.hours * _HOUR
        return {
            "ids": list(deployment_ids),
            "start": self.starts[0],
            "end": self.starts[-1] + _HOUR,
            "before": self.starts[0] - period,
            "edge": self.starts[-1] - period,
            "cut": self.now - period,
        }


def traffic_of(
    deployment_ids: Collection[UUID], *, now: datetime, hours: int = 24
) -> dict[UUID, Traffic]:
    """The traffic of each deployment in the last `hours`, the running hour included, and in the
    same time before. Two queries, however many deployments."""
    span = _Span(now, hours)
    parameters = span.parameters(deployment_ids)
    counts: dict[UUID, dict[datetime, tuple[int, ...]]] = defaultdict(dict)
    for deployment_id, at, *numbers in _select(_COUNTS, parameters):
        counts[deployment_id][at] = tuple(numbers)
    latencies: dict[tuple[UUID, bool], Counts] = defaultdict(dict)
    for deployment_id, is_now, number, n in _select(_LATENCIES, parameters):
        latencies[deployment_id, is_now][number] = n
    return {
        each: Traffic(
            buckets=[_bucket(at, counts[each].get(at)) for at in span.starts],
            now=_period(
                (n for at, n in counts[each].items() if at >= span.starts[0]),
                latencies[each, True],
            ),
            before=_period(
                (n for at, n in counts[each].items() if at < span.starts[0]),
                latencies[each, False],
            ),
        )
        for each in deployment_ids
    }


def figures_of(deployment: Deployment, *, now: datetime, hours: int = 24) -> Figures:
    """What the deployment did in the last `hours`, for its overview."""
    span = _Span(now, hours)
    by_hour: dict[datetime, Counts] = defaultdict(dict)
    for at, number, n in _select(_LATENCIES_BY_HOUR, span.parameters([deployment.id])):
        by_hour[at][number] = n
    return Figures(
        traffic=traffic_of([deployment.id], now=now, hours=hours)[deployment.id],
        p50s=[quantile(by_hour[at], 0.5) for at in span.starts],
        p95s=[quantile(by_hour[at], 0.95) for at in span.starts],
        mix=mix_of(deployment, now=now, hours=hours),
    )


def distributions_of(
    deployment: Deployment, *, start: datetime, end: datetime
) -> QuerySet[Distribution]:
    """The hours of what the deployment's revisions saw and said, from `start` until `end`."""
    found = Distribution.objects.filter(deployment=deployment, at__gte=start, at__lt=end)
    return found.order_by("at", "revision_id")


def mix_of(deployment: Deployment, *, now: datetime, hours: int = 24) -> list[Share]:
    """The classes by how often they were predicted, the most frequent first; at most three."""
    span = _Span(now, hours)
    before_start = span.starts[0] - hours * _HOUR
    rows = distributions_of(deployment, start=before_start, end=span.starts[-1] + _HOUR)
    outcomes: dict[bool, list[Counts]] = {True: [], False: []}
    by_hour: dict[datetime, Counts] = defaultdict(dict)
    for at, counts, other in rows.values_list("at", "outcomes", "outcomes_other"):
        if other:
            counts = counts | {"": other}
        outcomes[at >= span.starts[0]].append(counts)
        by_hour[at] = total([by_hour[at], counts])
    seen, before = total(outcomes[True]), total(outcomes[False])
    ranked = sorted((name for name in seen if name), key=lambda name: (-seen[name], name))
    return [
        Share(
            outcome=name,
            count=seen[name],
            share=seen[name] / sum(seen.values()),
            hours=[_share(by_hour[at], name) or 0.0 for at in span.starts],
            share_before=_share(before, name),
        )
        for name in ranked[:_SHOWN_CLASSES]
    ]


def _share(counts: Counts, name: str) -> float | None:
    number = sum(counts.values())
    return counts.get(name, 0) / number if number else None


def _bucket(at: datetime, numbers: tuple[int, ...] | None) -> Bucket:
    if numbers is None:
        return Bucket(at)
    requests, predictions, client_errors, server_errors = numbers
    return Bucket(at, requests, predictions, client_errors + server_errors)


def _period(rows: Iterable[tuple[int, ...]], latency: Counts) -> Period:
    columns = list(zip(*rows, strict=True)) or [(0,)] * 4
    requests, predictions, client_errors, server_errors = map(sum, columns)
    return Period(
        requests,
        predictions,
        client_errors,
        server_errors,
        p50_us=quantile(latency, 0.5),
        p95_us=quantile(latency, 0.95),
    )


def _select(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

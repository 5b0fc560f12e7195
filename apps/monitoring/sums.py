"""Adds up records of the log in memory, before they enter the rollups. Pure functions."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from apps.monitoring.histograms import (
    Counts,
    add,
    amount_bins,
    count,
    edge_bins,
    score_bins,
    size_bins,
)

MOST_OUTCOMES = 100


class Request(NamedTuple):
    """What of a request is counted, in the order of the query that reads it."""

    deployment_id: UUID
    revision_id: UUID | None
    at: datetime
    caller_kind: str
    caller_id: str
    status_code: int
    count: int  # type: ignore[assignment]  # the log's own name for it
    duration_us: int
    model_us: int | None
    explain_us: int | None = None

    @property
    def response_us(self) -> int:
        """What the prediction took: explanations take what their methods take, whoever asks."""
        return self.duration_us - (self.explain_us or 0)


class Prediction(NamedTuple):
    """What of a prediction is counted, in the order of the query that reads it."""

    deployment_id: UUID
    revision_id: UUID | None
    at: datetime
    input: str | None
    outcome: str | None
    score: str | None
    model_input: str | None = None


@dataclass(frozen=True, slots=True)
class Binning:
    """How a revision's predictions are counted: its features in their order, the reference
    profile's entry of each by name, and whether its model gives numbers."""

    names: Sequence[str] = ()
    features: dict[str, dict[str, Any]] = field(default_factory=dict)
    gives_numbers: bool = False


class TrafficKey(NamedTuple):
    deployment_id: UUID
    at: datetime
    revision_id: UUID | None
    caller_kind: str
    caller_id: str


@dataclass(slots=True)
class TrafficSums:
    requests: int = 0
    predictions: int = 0
    client_errors: int = 0
    server_errors: int = 0
    latency: Counts = field(default_factory=dict)
    model_latency: Counts = field(default_factory=dict)


class DistributionKey(NamedTuple):
    deployment_id: UUID
    at: datetime
    revision_id: UUID | None


@dataclass(slots=True)
class DistributionSums:
    predictions: int = 0
    erased: int = 0
    outcomes: Counts = field(default_factory=dict)
    outcomes_other: int = 0
    amounts: Counts = field(default_factory=dict)
    scores: Counts = field(default_factory=dict)
    features: dict[str, dict[str, Any]] = field(default_factory=dict)


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def traffic(requests: Iterable[Request]) -> dict[TrafficKey, TrafficSums]:
    """The sums of each caller's requests by the minute of their arrival."""
    groups: dict[TrafficKey, list[Request]] = defaultdict(list)
    for each in requests:
        minute = minute_of(each.at)
        key = TrafficKey(
            each.deployment_id, minute, each.revision_id, each.caller_kind, each.caller_id
        )
        groups[key].append(each)
    return {key: _traffic_sums(group) for key, group in groups.items()}


def _traffic_sums(group: list[Request]) -> TrafficSums:
    waited = [each.model_us for each in group if each.model_us is not None]
    return TrafficSums(
        requests=len(group),
        predictions=sum(each.count for each in group),
        client_errors=sum(400 <= each.status_code < 500 for each in group),
        server_errors=sum(each.status_code >= 500 for each in group),
        latency=count(size_bins(np.array([each.response_us for each in group], dtype=float))),
        model_latency=count(size_bins(np.array(waited, dtype=float))),
    )


def by_hour(minutes: dict[TrafficKey, TrafficSums]) -> dict[TrafficKey, TrafficSums]:
    """The same sums by the hour."""
    hours: dict[TrafficKey, TrafficSums] = defaultdict(TrafficSums)
    for key, sums in minutes.items():
        add_traffic(hours[key._replace(at=hour_of(key.at))], sums)
    return dict(hours)


def add_traffic(into: Any, other: TrafficSums) -> None:
    """Adds sums to sums, or to a stored row with the same fields."""
    for name in ("requests", "predictions", "client_errors", "server_errors"):
        setattr(into, name, getattr(into, name) + getattr(other, name))
    add(into.latency, other.latency)
    add(into.model_latency, other.model_latency)


def distributions(
    predictions: Iterable[Prediction], binnings: dict[UUID | None, Binning]
) -> dict[DistributionKey, DistributionSums]:
    """What each revision saw and said, by the hour."""
    groups: dict[DistributionKey, list[Prediction]] = defaultdict(list)
    for each in predictions:
        key = DistributionKey(each.deployment_id, hour_of(each.at), each.revision_id)
        groups[key].append(each)
    return {
        key: _distribution_sums(group, binnings.get(key.revision_id, Binning()))
        for key, group in groups.items()
    }


def add_distribution(into: Any, other: DistributionSums) -> None:
    """Adds sums to sums, or to a stored row with the same fields."""
    for name in ("predictions", "erased", "outcomes_other"):
        setattr(into, name, getattr(into, name) + getattr(other, name))
    add(into.amounts, other.amounts)
    add(into.scores, other.scores)
    for outcome, number in other.outcomes.items():
        if outcome in into.outcomes or len(into.outcomes) < MOST_OUTCOMES:
            into.outcomes[outcome] = into.outcomes.get(outcome, 0) + number
        else:
            into.outcomes_other += number
    for name, seen in other.features.items():
        kept = into.features.setdefault(name, {"bins": {}, "missing": 0})
        add(kept["bins"], seen["bins"])
        kept["missing"] += seen["missing"]


def _distribution_sums(group: list[Prediction], binning: Binning) -> DistributionSums:
    seen = [each.input if each.model_input is None else each.model_input for each in group]
    instances = [orjson.loads(each) for each in seen if each is not None]
    scores = _numbers([each.score for each in group if each.score is not None])
    sums = DistributionSums(
        predictions=len(group),
        erased=len(group) - len(instances),
        scores=count(score_bins(scores[np.isfinite(scores)])),
        features=_features(instances, binning),
    )
    outcomes = Counter(each.outcome for each in group if each.outcome is not None)
    if binning.gives_numbers:
        amounts = _numbers([each.outcome for each in group if each.outcome is not None])
        sums.amounts = count(amount_bins(amounts[np.isfinite(amounts)]))
        return sums
    for place, (outcome, number) in enumerate(outcomes.most_common()):
        if place < MOST_OUTCOMES:
            sums.outcomes[outcome] = number
        else:
            sums.outcomes_other += number
    return sums


def _features(instances: list[Any], binning: Binning) -> dict[str, dict[str, Any]]:
    """The histogram of every feature that the reference data has."""
    columns: dict[str, list[Any]] = {name: [] for name in binning.features}
    for instance in instances:
        if isinstance(instance, list):
            instance = dict(zip(binning.names, instance, strict=False))
        if isinstance(instance, dict):
            for name, values in columns.items():
                values.append(instance.get(name))
    return {
        name: _column(values, binning.features[name]) for name, values in columns.items() if values
    }


def _column(values: list[Any], profile: dict[str, Any]) -> dict[str, Any]:
    if profile["kind"] == "number":
        numbers = _numbers(values)
        known = numbers[~np.isnan(numbers)]
        bins = count(edge_bins(known, np.array(profile["edges"], dtype=float)))
        return {"bins": bins, "missing": len(values) - len(known)}
    places = {category: place for place, category in enumerate(profile["categories"])}
    present = [str(value) for value in values if value is not None]
    seen = Counter(places.get(value, -1) for value in present)
    return {
        "bins": {str(place): number for place, number in seen.items()},
        "missing": len(values) - len(present),
    }


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    """Floats; NaN for what is missing or no number."""
    try:
        return np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (ValueError, TypeError):
        return math.nan

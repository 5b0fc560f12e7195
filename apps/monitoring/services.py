"""Keeps the rollups up with the log: each seal is counted once, whoever counts and dies."""

import itertools
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from apps.audit.models import Seal, Writer
from apps.deployments.models import Component
from apps.monitoring import sums
from apps.monitoring.models import Distribution, TrafficHour, TrafficMinute
from apps.predictions.models import PredictionRecord, RequestRecord

_CHUNK_RECORDS = 20_000
_CHUNK_SEALS = 2_000
_BLOCK_ROWS = 5_000
_LOCK = "deeploy rollups"
_TRAFFIC_KEY = ["deployment_id", "at", "revision_id", "caller_kind", "caller_id"]
_TRAFFIC_SUMS = [
    "requests",
    "predictions",
    "client_errors",
    "server_errors",
    "latency",
    "model_latency",
]
_DISTRIBUTION_KEY = ["deployment_id", "at", "revision_id"]
_DISTRIBUTION_SUMS = [
    "predictions",
    "erased",
    "outcomes",
    "outcomes_other",
    "amounts",
    "scores",
    "features",
]


class _Overtaken(Exception):
    """Somebody else counted these seals in the meantime; the chunk is rolled back."""


def roll_up(*, now: datetime, rest: float = 0) -> int:
    """Counts all records whose seals no rollup contains yet; returns how many.

    Between two chunks it rests `rest` times as long as the last one took, so that counting never
    takes more than its share of the machine from answering.

    Goes by chunks, each one transaction together with the moving of its writer's `rolled_up`: a
    process that dies between two loses nothing and counts nothing twice. Returns at once where
    another process is counting.
    """
    counted = 0
    for writer in Writer.objects.filter(number__gt=F("rolled_up")).order_by("started_at"):
        started = time.monotonic()
        while records := _roll_up_chunk(writer, now):
            counted += records
            time.sleep(rest * (time.monotonic() - started))
            started = time.monotonic()
    return counted


def drop_old_minutes(*, now: datetime) -> int:
    """Deletes minute rows older than ROLLUP_MINUTE_DAYS; their hours stay."""
    return TrafficMinute.objects.filter(at__lt=_oldest_minute(now)).delete()[0]


def _oldest_minute(now: datetime) -> datetime:
    return sums.hour_of(now - timedelta(days=settings.ROLLUP_MINUTE_DAYS))


def _roll_up_chunk(writer: Writer, now: datetime) -> int:
    try:
        with transaction.atomic():
            if not _is_alone():
                return 0
            writer.refresh_from_db(fields=["rolled_up"])
            seals = _next_seals(writer)
            if seals:
                _count(writer.id, seals, now)
                _move(writer, seals[-1].number)
    except _Overtaken:
        return 0
    return sum(seal.count for seal in seals)


def _is_alone() -> bool:
    """Takes the counting for this transaction. The writer's own row is left alone until the end,
    because every group commit of the gateway has to change it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [_LOCK])
        return bool(cursor.fetchone()[0])


def _next_seals(writer: Writer) -> list[Seal]:
    waiting = Seal.objects.filter(writer=writer, number__gt=writer.rolled_up).order_by("number")
    taken: list[Seal] = []
    records = 0
    for seal in waiting[:_CHUNK_SEALS]:
        if taken and records + seal.count > _CHUNK_RECORDS:
            break
        taken.append(seal)
        records += seal.count
    return taken


def _move(writer: Writer, number: int) -> None:
    moved = Writer.objects.filter(id=writer.id, rolled_up=writer.rolled_up).update(rolled_up=number)
    if moved != 1:
        raise _Overtaken
    writer.rolled_up = number


def _count(writer: UUID, seals: list[Seal], now: datetime) -> None:
    """Adds the records under consecutive seals to the rollups. The range of their ids keeps the
    reading to the partitions where they lie."""
    within = {
        "writer": writer,
        "seal__gte": seals[0].number,
        "seal__lte": seals[-1].number,
        "id__gte": min(seal.first_id for seal in seals),
        "id__lte": max(seal.last_id for seal in seals),
    }
    requests = RequestRecord.objects.filter(**within).order_by()
    for block in _blocks(requests.values_list(*sums.Request._fields)):
        _add_traffic(sums.traffic(map(sums.Request._make, block)), now)
    predictions = PredictionRecord.objects.filter(**within).order_by()
    binnings: dict[UUID | None, sums.Binning] = {}
    for block in _blocks(predictions.values_list(*sums.Prediction._fields)):
        rows = list(map(sums.Prediction._make, block))
        _prepare(binnings, {row.revision_id for row in rows})
        _add_distributions(sums.distributions(rows, binnings))


def _blocks(rows: Any) -> Iterator[list[tuple[Any, ...]]]:
    """Some thousand rows at a time: one seal may hold more than memory should."""
    found = rows.iterator(chunk_size=_BLOCK_ROWS)
    while block := list(itertools.islice(found, _BLOCK_ROWS)):
        yield block


def _prepare(binnings: dict[UUID | None, sums.Binning], revisions: set[UUID | None]) -> None:
    """Reads how the predictions of revisions not met before are counted."""
    new = revisions - binnings.keys()
    models = Component.objects.filter(revision__in=new - {None}, kind=Component.Kind.MODEL)
    for component in models.select_related("model_version__reference"):
        version = component.model_version
        if version is None:
            continue
        reference = getattr(version, "reference", None)
        profiled = reference.profile["features"] if reference else []
        binnings[component.revision_id] = sums.Binning(
            names=[feature["name"] for feature in version.metadata.get("features") or []],
            features={feature["name"]: feature for feature in profiled},
            gives_numbers=version.metadata.get("problemType") == "regression",
        )
    for revision in new - binnings.keys():
        binnings[revision] = sums.Binning()


def _add_traffic(minutes: dict[sums.TrafficKey, sums.TrafficSums], now: datetime) -> None:
    oldest = _oldest_minute(now)
    kept = {key: each for key, each in minutes.items() if key.at >= oldest}
    for table, found in ((TrafficMinute, kept), (TrafficHour, sums.by_hour(minutes))):
        rows = _stored(table, _TRAFFIC_KEY, found)
        for row, each in zip(rows, found.values(), strict=True):
            sums.add_traffic(row, each)
        _store(table, rows, _TRAFFIC_KEY, _TRAFFIC_SUMS)


def _add_distributions(found: dict[sums.DistributionKey, sums.DistributionSums]) -> None:
    rows = _stored(Distribution, _DISTRIBUTION_KEY, found)
    for row, each in zip(rows, found.values(), strict=True):
        sums.add_distribution(row, each)
    _store(Distribution, rows, _DISTRIBUTION_KEY, _DISTRIBUTION_SUMS)


def _stored(table: Any, key: list[str], wanted: Iterable[Any]) -> list[Any]:
    """The rows with these keys, new ones where there are none, in the order of the keys."""
    wanted = list(wanted)
    rows = table.objects.filter(
        deployment_id__in={each.deployment_id for each in wanted}, at__in={e.at for e in wanted}
    )
    known = {tuple(getattr(row, name) for name in key): row for row in rows}
    return [known.get(tuple(each)) or table(**each._asdict()) for each in wanted]


def _store(table: Any, rows: list[Any], key: list[str], values: list[str]) -> None:
    """Writes whole rows; nobody else adds to them while the lock is held."""
    table.objects.bulk_create([row for row in rows if row.pk is None], batch_size=500)
    table.objects.bulk_create(
        [row for row in rows if row.pk is not None],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=values,
    )

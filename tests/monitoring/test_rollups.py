"""The rollups hold what the log holds: counted once, whoever counts, dies or comes late."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from apps.audit.models import Writer
from apps.deployments.models import Deployment
from apps.monitoring import services
from apps.monitoring.histograms import total
from apps.monitoring.models import Distribution, TrafficHour, TrafficMinute
from apps.predictions.models import PredictionRecord, RequestRecord
from tests.monitoring.conftest import request_of

pytestmark = pytest.mark.django_db(transaction=True)
CASE = '{"age":33,"city":"Ede"}'
Write = Callable[..., UUID]


def rows(table: Any) -> list[dict[str, Any]]:
    fields = [f.attname for f in table._meta.fields if f.name != "id"]
    return sorted(table.objects.values(*fields), key=str)


def everything() -> list[list[dict[str, Any]]]:
    return [rows(table) for table in (TrafficMinute, TrafficHour, Distribution)]


def recount() -> list[list[dict[str, Any]]]:
    """The rollups made again from the whole log."""
    for table in (TrafficMinute, TrafficHour, Distribution):
        table.objects.all().delete()
    Writer.objects.update(rolled_up=0)
    services.roll_up(now=timezone.now())
    return everything()


def test_requests_are_counted_by_minute_hour_and_caller(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    write(
        request_of(deployment, recent, [CASE, CASE]),
        request_of(deployment, recent, statusCode=400, modelUs=None),
        request_of(deployment, recent, statusCode=503, modelUs=None),
        request_of(deployment, recent, [CASE], callerKind="user", callerId="u"),
    )
    assert services.roll_up(now=timezone.now()) == 7
    row = TrafficMinute.objects.get(caller_kind="token")
    assert row.at == recent.replace(second=0, microsecond=0)
    assert (row.requests, row.predictions) == (3, 2)
    assert (row.client_errors, row.server_errors) == (1, 1)
    assert sum(row.latency.values()) == 3
    assert sum(row.model_latency.values()) == 1
    assert TrafficHour.objects.count() == 2


def test_what_the_model_saw_and_said_is_counted_on_the_reference_bins(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    write(
        request_of(deployment, recent, ['{"age":20,"city":"Ede"}', '{"age":60,"city":"Goes"}']),
        request_of(deployment, recent, ['{"age":null,"city":"Urk"}'], outcome="bad", score="0.51"),
        request_of(deployment, recent, ["[90,null]"], outcome="bad", score="1.0"),
    )
    services.roll_up(now=timezone.now())
    row = Distribution.objects.get()
    assert row.outcomes == {"good": 2, "bad": 2}
    assert row.scores == {"18": 2, "10": 1, "19": 1}
    assert row.features["age"] == {"bins": {"0": 1, "4": 1, "5": 1}, "missing": 1}
    assert row.features["city"] == {"bins": {"0": 1, "1": 1, "-1": 1}, "missing": 1}


def test_rolling_up_again_counts_nothing_twice_and_costs_one_query(
    deployment: Deployment, write: Write, recent: datetime, django_assert_num_queries: Any
) -> None:
    write(request_of(deployment, recent, [CASE]))
    services.roll_up(now=timezone.now())
    before = everything()
    with django_assert_num_queries(1):
        assert services.roll_up(now=timezone.now()) == 0
    assert everything() == before


def test_later_records_are_added_to_the_same_rows(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    for _ in range(3):
        write(request_of(deployment, recent, [CASE]))
        services.roll_up(now=timezone.now())
    assert TrafficMinute.objects.get().requests == 3
    assert sum(TrafficMinute.objects.get().latency.values()) == 3
    assert Distribution.objects.get().features["age"]["bins"] == {"1": 3}
    assert everything() == recount()


@pytest.mark.parametrize("place", ["_move", "_add_distributions"])
def test_a_death_between_chunks_leaves_the_sums_of_a_recount(
    place: str,
    deployment: Deployment,
    write: Write,
    recent: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(*(request_of(deployment, recent, [CASE] * 3) for _ in range(10)))
    monkeypatch.setattr(services, "_CHUNK_RECORDS", 8)
    real, calls = getattr(services, place), []

    def dies_at_the_third(*given: Any) -> None:
        calls.append(given)
        real(*given)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(services, place, dies_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            services.roll_up(now=timezone.now())
    assert Writer.objects.get().rolled_up == 4
    assert TrafficHour.objects.get().requests == 4
    services.roll_up(now=timezone.now())
    assert TrafficHour.objects.get().requests == 10
    assert everything() == recount()


def test_two_workers_at_once_count_each_record_once(
    deployment: Deployment, write: Write, recent: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        write(*(request_of(deployment, recent, [CASE]) for _ in range(10)))
    monkeypatch.setattr(services, "_CHUNK_RECORDS", 6)

    def work(_: int) -> int:
        try:
            return sum(services.roll_up(now=timezone.now()) for _ in range(20))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(work, range(2))) == 80
    assert TrafficHour.objects.get().requests == 40
    assert everything() == recount()


def test_a_writer_that_somebody_else_counted_is_left_alone(
    deployment: Deployment, write: Write, recent: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(request_of(deployment, recent, [CASE]))
    real = services._count

    def overtaken(*given: Any) -> None:
        real(*given)
        Writer.objects.update(rolled_up=1)

    monkeypatch.setattr(services, "_count", overtaken)
    assert services.roll_up(now=timezone.now()) == 0
    assert not TrafficHour.objects.exists()


def test_erased_predictions_are_counted_without_their_input(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    write(request_of(deployment, recent, [CASE, CASE]))
    first = PredictionRecord.objects.order_by("id")[0]
    PredictionRecord.objects.filter(id=first.id).update(
        input=None, output=None, outcome=None, score=None, salt=None
    )
    services.roll_up(now=timezone.now())
    row = Distribution.objects.get()
    assert (row.predictions, row.erased) == (2, 1)
    assert row.outcomes == {"good": 1}


def test_a_refusal_before_any_revision_is_counted(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    for _ in range(2):
        write(request_of(deployment, recent, statusCode=503, revisionId=None))
        services.roll_up(now=timezone.now())
    row = TrafficHour.objects.get()
    assert (row.revision_id, row.server_errors) == (None, 2)


def test_old_minutes_are_dropped_and_late_ones_not_made(
    deployment: Deployment, write: Write, recent: datetime, settings: Any
) -> None:
    settings.ROLLUP_MINUTE_DAYS = 2
    write(request_of(deployment, recent, [CASE]))
    services.roll_up(now=timezone.now())
    later = timezone.now() + timedelta(days=3)
    assert services.drop_old_minutes(now=later) == 1
    write(request_of(deployment, recent, [CASE]))
    services.roll_up(now=later)
    assert not TrafficMinute.objects.exists()
    assert TrafficHour.objects.get().requests == 2


def test_numbers_that_a_model_gives_are_binned(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    version = deployment.revisions.all()[0].components.get().model_version
    assert version is not None
    version.metadata["problemType"] = "regression"
    version.save()
    write(*(request_of(deployment, recent, [CASE], outcome=o) for o in ("8.0", "8.0", "-2.5")))
    services.roll_up(now=timezone.now())
    row = Distribution.objects.get()
    assert row.outcomes == {}
    assert sorted(row.amounts.values()) == [1, 2]


def test_the_rest_of_very_many_outcomes_is_counted_together(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    write(*(request_of(deployment, recent, [CASE], outcome=f"o{n}") for n in range(105)))
    services.roll_up(now=timezone.now())
    row = Distribution.objects.get()
    assert len(row.outcomes) == 100
    assert row.outcomes_other == 5


def test_minutes_hours_and_the_log_have_the_same_sums(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    times = [recent - timedelta(minutes=17 * n) for n in range(12)]
    write(
        *(request_of(deployment, at, [CASE] * 2, durationUs=900 + n) for n, at in enumerate(times))
    )
    services.roll_up(now=timezone.now())
    for table in (TrafficMinute, TrafficHour):
        sums = table.objects.aggregate(Sum("requests"), Sum("predictions"))
        assert sums["requests__sum"] == RequestRecord.objects.count() == 12
        assert sums["predictions__sum"] == PredictionRecord.objects.count() == 24
    latencies = [
        total(table.objects.values_list("latency", flat=True))
        for table in (TrafficMinute, TrafficHour)
    ]
    assert latencies[0] == latencies[1]


def test_the_time_of_an_explanation_is_no_response_time(
    deployment: Deployment, write: Write, recent: datetime
) -> None:
    explained = request_of(deployment, recent, [CASE], durationUs=900_900, explainUs=900_000)
    write(request_of(deployment, recent, [CASE], durationUs=900), explained)
    services.roll_up(now=timezone.now())
    [latency] = TrafficMinute.objects.values_list("latency", flat=True)
    assert list(latency.values()) == [2]

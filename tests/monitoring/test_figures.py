"""What the selectors say of a period, and the panel that shows it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.monitoring import presentation, services
from apps.monitoring.histograms import RELATIVE_ERROR, count, size_bins
from apps.monitoring.models import Distribution, TrafficHour, TrafficMinute
from apps.monitoring.selectors import Share, figures_of, mix_of, traffic_of
from tests.monitoring.conftest import NOW, request_of

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PANEL = "/w/retail-credit/deployments/consumer-credit/figures/"


def add(table: Any, deployment_id: UUID, at: datetime, requests: int, **given: Any) -> None:
    latency = count(size_bins(np.full(requests, given.pop("us", 1000.0))))
    table.objects.create(
        deployment_id=deployment_id,
        at=at,
        requests=requests,
        predictions=given.pop("predictions", requests),
        caller_kind="token",
        caller_id="t",
        latency=latency,
        **given,
    )


def hour(before: int) -> datetime:
    return NOW.replace(minute=0) - before * HOUR


def test_a_period_ends_with_the_running_hour_and_has_one_bucket_an_hour() -> None:
    one, two = uuid4(), uuid4()
    add(TrafficHour, one, hour(0), 3, client_errors=1, server_errors=1)
    add(TrafficHour, one, hour(23), 2)
    add(TrafficHour, two, hour(5), 9)
    found = traffic_of([one, two], now=NOW)
    assert [b.requests for b in found[one].buckets] == [2, *[0] * 22, 3]
    assert found[one].buckets[-1].errors == 2
    assert found[one].now.error_share == pytest.approx(2 / 5)
    assert found[two].now.requests == 9


def test_the_period_before_is_of_the_same_length_to_the_minute() -> None:
    one = uuid4()
    add(TrafficHour, one, hour(24), 100)  # its minutes tell which of these count
    add(TrafficMinute, one, NOW - DAY - timedelta(minutes=1), 7)
    add(TrafficMinute, one, NOW - DAY, 93)
    add(TrafficHour, one, hour(25), 20)
    add(TrafficHour, one, hour(47), 1)
    add(TrafficHour, one, hour(48), 1000)
    assert traffic_of([one], now=NOW)[one].before.requests == 28


def test_response_times_are_estimated_over_all_hours_and_callers() -> None:
    one = uuid4()
    add(TrafficHour, one, hour(1), 90, us=1000.0)
    add(TrafficHour, one, hour(2), 10, us=50_000.0)
    add(TrafficHour, one, hour(30), 10, us=9000.0)
    found = traffic_of([one], now=NOW)[one]
    assert found.now.p50_us == pytest.approx(1000, rel=RELATIVE_ERROR)
    assert found.now.p95_us == pytest.approx(50_000, rel=RELATIVE_ERROR)
    assert found.before.p95_us == pytest.approx(9000, rel=RELATIVE_ERROR)


def test_a_deployment_without_requests_has_empty_traffic() -> None:
    one = uuid4()
    found = traffic_of([one], now=NOW)[one]
    assert found.is_empty
    assert len(found.buckets) == 24
    assert (found.now.error_share, found.now.p50_us) == (None, None)


def test_traffic_takes_two_queries_for_any_number(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        traffic_of([uuid4() for _ in range(50)], now=NOW)


def test_the_mix_names_the_classes_by_how_often_they_were_predicted(
    deployment: Deployment,
) -> None:
    def row(before: int, **outcomes: int) -> None:
        Distribution.objects.create(deployment=deployment, at=hour(before), outcomes=outcomes)

    row(0, bad=1, good=3)
    row(3, bad=1, good=5)
    row(40, bad=5, good=5)
    good, bad = mix_of(deployment, now=NOW)
    assert (good.outcome, good.count, good.share, good.share_before) == ("good", 8, 0.8, 0.5)
    assert (bad.hours[-1], bad.hours[-4]) == (0.25, pytest.approx(1 / 6))


def test_the_figures_go_by_the_hour(deployment: Deployment) -> None:
    add(TrafficHour, deployment.id, hour(2), 10, us=4000.0)
    figures = figures_of(deployment, now=NOW)
    assert figures.p95s[-3] == pytest.approx(4000, rel=RELATIVE_ERROR)
    assert figures.p95s[-1] is None


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (112, 100, "+12\u00a0% on the day before"),
        (88, 100, "−12\u00a0% on the day before"),
        (100, 100, "as the day before"),
        (5000, 100, "50 times the day before"),
        (5, 0, "nothing the day before"),
        (0, 0, ""),
        (None, 100, "nothing since"),
    ],
)
def test_a_change_is_said_in_words(now: float | None, before: float, said: str) -> None:
    assert presentation.ratio_change(now, before) == said


def test_a_share_moves_by_points() -> None:
    assert presentation.points_change(0.062, 0.058) == "+0.4 points on the day before"
    assert presentation.points_change(None, 0.1) == ""


def test_a_class_is_a_tile_of_its_own() -> None:
    tile = presentation._class_tile(Share("bad", 1200, 0.3, [0.3], 0.25))
    assert (tile.value, tile.note) == ("30.0\u00a0%", "1,200")


class TestPanel:
    """The strip on a deployment's overview."""

    def test_it_shows_what_was_just_recorded(
        self,
        deployment: Deployment,
        reviewer: User,
        client_for: Any,
        write: Callable[..., UUID],
        recent: datetime,
    ) -> None:
        write(
            request_of(deployment, recent, ["{}"] * 3),
            request_of(deployment, recent, statusCode=400),
        )
        services.roll_up(now=recent)
        page = client_for(reviewer).get(PANEL).content.decode()
        for shown in ("Predictions, 24 h", "in 2 requests", "50.00", "1 refused", "Predicted good"):
            assert shown in page

    def test_without_a_request_it_says_so(
        self, deployment: Deployment, reviewer: User, client_for: Any
    ) -> None:
        page = client_for(reviewer).get(PANEL).content.decode()
        assert "No request in the last two days" in page
        assert "<html" not in page

    def test_auditors_see_it_without_the_form(
        self, deployment: Deployment, auditor: User, client_for: Any
    ) -> None:
        answer = client_for(auditor).get(PANEL)
        assert answer.status_code == 200
        assert b"/try/" not in answer.content

    def test_strangers_get_404_and_the_anonymous_sign_in(
        self, deployment: Deployment, outsider: User, client_for: Any
    ) -> None:
        assert client_for(outsider).get(PANEL).status_code == 404
        assert "/account/login/" in Client().get(PANEL)["Location"]

    def test_it_only_reads(self, deployment: Deployment, operator: User, client_for: Any) -> None:
        assert client_for(operator).post(PANEL).status_code == 405

"""How much of the log is read for a filter by what was said."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.feedback.models import Evaluation
from apps.predictions.models import PredictionRecord
from apps.predictions.selectors import page
from apps.predictions.views.log import found_by
from tests.predictions.factories import write_request

_NEWER, _JUDGED = 4_000, 120


@pytest.fixture
def judged(deployment: Deployment) -> list[PredictionRecord]:
    """Predictions that were judged, oldest first, before thousands that were not."""
    request, at = write_request(deployment), datetime.now(UTC)
    records = [
        PredictionRecord(
            id=uuid7(),
            deployment=deployment,
            request=request,
            at=at,
            outcome="good" if number % 20 == 0 else "bad",
            position=number,
            digest=b"",
            writer=uuid7(),
            seal=1,
        )
        for number in range(_JUDGED + _NEWER)
    ]
    PredictionRecord.objects.bulk_create(records)
    Evaluation.objects.bulk_create(
        Evaluation(
            prediction_id=each.id,
            predicted_at=at,
            predicted_outcome=each.outcome,
            deployment=deployment,
            at=at,
            author_kind="user",
            author_id="1",
            verdict="agree",
            digest=b"",
        )
        for each in records[:_JUDGED]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE predictions_prediction")
        cursor.execute("ANALYZE feedback_evaluation")
    return records[:_JUDGED]


def test_a_page_of_a_verdict_reads_no_more_of_the_log_than_it_shows(
    deployment: Deployment, judged: list[PredictionRecord]
) -> None:
    with CaptureQueriesContext(connection) as seen:
        rows = page(found_by(deployment, {"evaluation": "agreed"})).rows
    assert rows == judged[::-1][:50]
    read = sum(_read(_plan(each["sql"])) for each in seen.captured_queries)
    assert read <= 3 * 51


def test_other_filters_are_found_among_what_was_judged(
    deployment: Deployment, judged: list[PredictionRecord]
) -> None:
    wanted = {"evaluation": "agreed", "outcome": "good"}
    with CaptureQueriesContext(connection) as seen:
        rows = page(found_by(deployment, wanted)).rows
    assert rows == judged[::-1][19::20]
    assert len(seen) <= 5
    assert sum(_read(_plan(each["sql"])) for each in seen.captured_queries) <= 2 * _JUDGED


def test_pages_go_to_and_fro_among_what_was_judged(
    deployment: Deployment, judged: list[PredictionRecord]
) -> None:
    found = found_by(deployment, {"evaluation": "agreed"})
    first = page(found)
    second = page(found, before=first.older)
    third = page(found, before=second.older)
    assert [*first.rows, *second.rows, *third.rows] == judged[::-1]
    assert (third.older, page(found, after=second.newer).rows) == (None, first.rows)


def _plan(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        [(found,)] = cursor.fetchall()
    plan: dict[str, Any] = found[0]["Plan"]
    return plan


def _read(plan: dict[str, Any]) -> int:
    """How many rows of the log a plan looked at."""
    below = sum(_read(each) for each in plan.get("Plans", []))
    if not plan.get("Relation Name", "").startswith("predictions_prediction"):
        return below
    looked = sum(plan.get(f"Rows Removed by {n}", 0) for n in ("Filter", "Index Recheck"))
    return below + int((plan["Actual Rows"] + looked) * plan["Actual Loops"])

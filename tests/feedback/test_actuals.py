"""What turned out to be true: in batches, late, repeated, corrected, erased."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Invalid
from apps.deployments.models import Deployment
from apps.feedback import services
from apps.feedback.authors import Author
from apps.feedback.models import Actual
from apps.feedback.services import Given, Result
from apps.feedback.services.actuals import TooMany
from apps.feedback.verification import faults
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.predictions.factories import CASE, prediction_of, write_request
from tests.predictions.records import make_deployment


def record_all(deployment: Deployment, by: Author, *rows: Given) -> list[Result]:
    return services.record_actuals(deployment=deployment, rows=rows, by=by, now=timezone.now())


def said(results: list[Result]) -> list[str]:
    return [result.state for result in results]


def test_each_row_is_answered_in_order(record: PredictionRecord, author: Author) -> None:
    results = record_all(
        record.deployment,
        author,
        Given({"predictions": ["bad"]}, prediction_id=str(record.id)),
        Given(1, prediction_id=str(uuid4())),
        Given(1, prediction_id="not an id"),
        Given("ugly", prediction_id=str(record.id)),
    )
    assert said(results) == ["recorded", "unknown", "invalid", "invalid"]
    assert [result.status for result in results] == [200, 404, 400, 400]
    assert "is no class" in results[3].message
    kept = Actual.objects.get()
    assert (kept.prediction_id, kept.value, kept.outcome) == (record.id, '"bad"', "bad")
    assert (kept.predicted_at, kept.predicted_outcome) == (record.at, "bad")


def test_one_event_binds_a_whole_batch(deployment: Deployment, author: Author) -> None:
    rows = [Given("good", prediction_id=prediction_of(deployment).id) for _ in range(5)]
    record_all(deployment, author, *rows)
    event = Event.objects.get(name="actuals.recorded")
    assert '"count":5' in (event.data or "")
    assert list(faults()) == []
    Actual.objects.order_by("id").first().delete()
    assert [p.message for p in faults()] == [f"event {event.number} binds 5, 4 are here"]


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "bad"},
        {"digest": b"x" * 32},
        {"batch": uuid4()},
        {"predicted_outcome": "good"},
    ],
)
def test_an_edited_actual_is_found(
    record: PredictionRecord, author: Author, change: dict[str, Any]
) -> None:
    record_all(record.deployment, author, Given("good", prediction_id=record.id))
    Actual.objects.update(**change)
    assert list(faults()) != []


def test_the_same_again_changes_nothing_and_another_corrects(
    record: PredictionRecord, author: Author
) -> None:
    for value in ("good", "good", "bad"):
        results = record_all(record.deployment, author, Given(value, prediction_id=record.id))
    assert said(results) == ["corrected"]
    assert 'it was "good"' in results[0].message
    assert list(Actual.objects.order_by("id").values_list("outcome", "is_current")) == [
        ("good", False),
        ("bad", True),
    ]
    assert Event.objects.filter(name="actuals.recorded").count() == 2
    assert list(faults()) == []


def test_a_batch_may_correct_itself(record: PredictionRecord, author: Author) -> None:
    rows = [Given(value, prediction_id=record.id) for value in ("good", "bad", "bad")]
    assert said(record_all(record.deployment, author, *rows)) == [
        "recorded",
        "corrected",
        "repeated",
    ]
    assert Actual.objects.get(is_current=True).outcome == "bad"
    assert list(faults()) == []


def test_a_custom_id_stands_for_the_newest_prediction(
    deployment: Deployment, author: Author
) -> None:
    prediction_of(deployment, custom_ids=["A-1"])
    newest = prediction_of(deployment, custom_ids=["A-1"])
    results = record_all(
        deployment,
        author,
        Given("good", custom_id="A-1"),
        Given("good", custom_id="A-2"),
        Given("good", custom_id=7),
        Given("good", custom_id="A\x00"),
    )
    assert said(results) == ["recorded", "unknown", "invalid", "unknown"]
    assert results[0].prediction_id == newest.id
    assert "2 predictions have this custom id" in results[0].message


def test_another_deployment_has_nothing_here(
    record: PredictionRecord, author: Author, operator: User, tmp_path: Any, workspace: Workspace
) -> None:
    (tmp_path / "other").mkdir()
    other = make_deployment(workspace, "Income check", operator, tmp_path / "other")
    foreign, nothing = record_all(
        other, author, Given(1, prediction_id=record.id), Given(1, prediction_id=uuid4())
    )
    assert (foreign.state, foreign.message) == (nothing.state, nothing.message)
    assert said(record_all(other, author, Given(1, custom_id="A-1"))) == ["unknown"]


def test_an_erased_prediction_takes_its_actual_with_it(
    record: PredictionRecord, author: Author
) -> None:
    record_all(record.deployment, author, Given("good", prediction_id=record.id))
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=author.actor, now=timezone.now()
    )
    kept = Actual.objects.get()
    assert (kept.value, kept.outcome, kept.predicted_outcome, kept.salt) == (None,) * 4
    assert list(faults()) == []
    results = record_all(record.deployment, author, Given("good", prediction_id=record.id))
    assert said(results) == ["unknown"]


def test_too_many_rows_are_refused_with_the_limit(
    deployment: Deployment, author: Author, settings: Any
) -> None:
    settings.ACTUALS_MAX_ROWS = 3
    rows = [Given(1, prediction_id=UUID(int=n)) for n in range(4)]
    with pytest.raises(TooMany, match="at most 3"):
        record_all(deployment, author, *rows)
    with pytest.raises(Invalid, match="at least one"):
        record_all(deployment, author)


def test_the_database_holds_one_current_actual(record: PredictionRecord, author: Author) -> None:
    record_all(record.deployment, author, Given("good", prediction_id=record.id))
    copy = Actual.objects.get()
    copy.id = Actual().id
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save(force_insert=True)


def test_a_batch_costs_the_same_queries_whatever_its_size(
    deployment: Deployment, author: Author
) -> None:
    def queries(count: int, key: str = "prediction_id") -> int:
        names = [f"{key}-{count}-{number}" for number in range(count)]
        request = write_request(deployment, [CASE] * count, custom_ids=names)
        ids = request.predictions.values_list("id", flat=True)
        keys = names if key == "custom_id" else list(ids)
        with CaptureQueriesContext(connection) as seen:
            results = record_all(deployment, author, *(Given("good", **{key: k}) for k in keys))
        assert said(results) == ["recorded"] * count
        return len(seen)

    queries(1)
    assert queries(2) == queries(100) == queries(1000)
    assert queries(3, "custom_id") == queries(99, "custom_id") == queries(2) + 1

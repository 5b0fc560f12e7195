"""A person's data leaves the log, its commitment stays, and nothing else passes for that."""

import json
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.audit.verification import verify_events
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Deployment
from apps.predictions import services
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from tests.predictions.factories import prediction_of, write_request

REASON = "Request 2026-17 of the person"


def erase(record: PredictionRecord, by: User) -> services.Erased:
    return services.erase_prediction(
        prediction=record, reason=REASON, by=by.actor, now=timezone.now()
    )


def problems() -> list[str]:
    return [str(problem) for problem in (*verify_seals(), *verify_events())]


def change(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.fixture
def erased(deployment: Deployment, owner: User) -> PredictionRecord:
    prediction_of(deployment)
    record = prediction_of(deployment, custom_ids=["A-1"], envelope='{"customId":"A-1"}')
    erase(record, owner)
    return PredictionRecord.objects.get(id=record.id)


def test_an_erased_prediction_keeps_its_digest_and_nothing_of_the_case(
    erased: PredictionRecord,
) -> None:
    assert erased.salt is None
    payload = (erased.input, erased.output, erased.outcome, erased.score, erased.custom_id)
    assert payload == (None,) * 5
    assert len(bytes(erased.digest)) == 32
    assert erased.erased_at is not None
    assert (erased.request.envelope, erased.request.salt) == (None, None)
    assert problems() == []


def test_the_event_says_who_and_why_and_never_what(erased: PredictionRecord, owner: User) -> None:
    event = Event.objects.get(name="prediction.erased")
    assert (event.object_id, event.actor_id) == (str(erased.id), str(owner.id))
    assert json.loads(event.data)["reason"] == REASON
    assert "A-1" not in f"{event.data}{event.object_name}"
    assert Event.objects.get(name="request.erased").object_id == str(erased.request_id)


def test_a_request_without_envelope_stays_as_it_is(deployment: Deployment, owner: User) -> None:
    record = prediction_of(deployment)
    assert erase(record, owner).requests == ()
    assert RequestRecord.objects.get(id=record.request_id).salt is not None


def test_other_predictions_of_the_request_stay(deployment: Deployment, owner: User) -> None:
    request = write_request(deployment, [{"age": 1}, {"age": 2}], custom_ids=["A", "B"])
    first, second = PredictionRecord.objects.filter(request=request).order_by("position")
    erase(first, owner)
    assert PredictionRecord.objects.get(id=second.id).input == '{"age": 2}'
    assert problems() == []


def test_all_predictions_of_a_case_are_erased_together(deployment: Deployment, owner: User) -> None:
    for _ in range(3):
        prediction_of(deployment, custom_ids=["A-1"])
    other = prediction_of(deployment, custom_ids=["A-2"])
    given: dict[str, Any] = {"reason": REASON, "by": owner.actor, "now": timezone.now()}
    done = services.erase_by_custom_id(deployment=deployment, custom_id="A-1", **given)
    assert len(done.predictions) == 3
    assert list(PredictionRecord.objects.exclude(salt=None)) == [other]
    assert problems() == []
    with pytest.raises(Invalid, match="No prediction"):
        services.erase_by_custom_id(deployment=deployment, custom_id="A-1", **given)


def test_a_refused_request_can_be_erased(deployment: Deployment, owner: User) -> None:
    request = write_request(deployment, status=400, error="Zoë is no number", body='{"Zoë"}')
    now = timezone.now()
    services.erase_request(request=request, reason=REASON, by=owner.actor, now=now)
    request.refresh_from_db()
    assert (request.body, request.error, request.salt) == (None, None, None)
    assert problems() == []


def test_an_erasure_needs_a_reason_and_happens_once(deployment: Deployment, owner: User) -> None:
    record = prediction_of(deployment)
    with pytest.raises(Invalid, match="Say why"):
        services.erase_prediction(
            prediction=record, reason="  ", by=owner.actor, now=timezone.now()
        )
    assert not Event.objects.filter(name="prediction.erased").exists()
    erase(record, owner)
    with pytest.raises(Conflict, match="already"):
        erase(record, owner)
    assert Event.objects.filter(name="prediction.erased").count() == 1


@pytest.mark.parametrize(
    "change_to",
    [
        "salt = NULL",
        "salt = NULL, input = NULL, output = NULL, outcome = NULL, score = NULL, erased_at = now()",
        "salt = NULL, output = '[0.9,0.1]'",
        "erased_at = now()",
    ],
)
def test_an_edit_that_poses_as_an_erasure_is_found(deployment: Deployment, change_to: str) -> None:
    record = prediction_of(deployment)
    change(f"UPDATE predictions_prediction SET {change_to} WHERE id = %s", record.id)
    assert len(problems()) == 1
    assert str(record.id) in problems()[0]
    assert "no event says" in problems()[0]


@pytest.mark.parametrize(
    ("change_to", "message"),
    [
        ("output = '[0.9,0.1]'", "but it has content"),
        ("position = 7", "what is left of it is not"),
        ("at = at + interval '1 second'", "what is left of it is not"),
        ("revision_id = '00000000-0000-0000-0000-000000000009'", "what is left of it is not"),
    ],
)
def test_an_erased_record_cannot_be_edited(
    erased: PredictionRecord, change_to: str, message: str
) -> None:
    change(f"UPDATE predictions_prediction SET {change_to} WHERE id = %s", erased.id)
    assert len(problems()) == 1
    assert message in problems()[0]


def test_content_that_comes_back_is_found(erased: PredictionRecord, owner: User) -> None:
    request = erased.request
    change(
        "UPDATE predictions_request SET salt = %s, envelope = 'x', erased_at = NULL WHERE id = %s",
        b"0" * 16,
        request.id,
    )
    found = problems()
    assert any("an event says that it was erased" in problem for problem in found)

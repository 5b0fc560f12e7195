"""The click on "Verify now" looks at the record, and at each thing that was added to it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.chain import link_hash
from apps.audit.models import Event
from apps.audit.services import content
from apps.core.canonical import digest
from apps.deployments.models import Deployment
from apps.explanations.commitment import content_of
from apps.explanations.models import Explanation
from apps.feedback import services as feedback
from apps.feedback.models import Actual, Evaluation
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.predictions.factories import CASE, prediction_of, write_request
from tests.predictions.records import PORTAL, explain, judge


@pytest.fixture
def record(deployment: Deployment) -> PredictionRecord:
    """Explained later, judged, and with an actual; each by an event of its own."""
    made = prediction_of(deployment)
    explain(made)
    judge(made)
    return made


@pytest.fixture
def click(record: PredictionRecord, reviewer: User, client_for: Any) -> Callable[[], str]:
    client: Client = client_for(reviewer)

    def clicked() -> str:
        path = f"/w/retail-credit/predictions/{record.id}/verify/"
        answer = client.get(path, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    return clicked


def change(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_what_was_added_is_told_thing_by_thing(click: Callable[[], str]) -> None:
    part = click()
    assert "Intact" in part
    assert "does not hold" not in part
    for thing in ("Explanation shap, made later by", "Evaluation by Portal", "Actual by Portal"):
        assert f'<span class="visually-hidden">holds: </span>{thing}' in part


@pytest.mark.parametrize(
    ("statement", "thing", "why"),
    [
        (
            "UPDATE explanations_explanation SET text = replace(text, '0.5', '0.4')",
            "Explanation shap",
            "its content is not what was made",
        ),
        (
            "UPDATE feedback_evaluation SET verdict = 'disagree'",
            "Evaluation by Portal",
            "its content is not what was given",
        ),
        (
            "UPDATE feedback_evaluation SET digest = sha256('x')",
            "Evaluation by Portal",
            "no event says that it was given so",
        ),
        (
            "UPDATE feedback_actual SET outcome = 'good'",
            "Actual by Portal",
            "its content is not what was given",
        ),
        (
            "UPDATE feedback_actual SET batch = gen_random_uuid()",
            "Actual by Portal",
            "its content is not what was given",
        ),
        (
            "UPDATE audit_event SET actor_name = 'x' WHERE name = 'evaluation.given'",
            "Evaluation by Portal",
            "the event that binds it is broken: its content is not what was recorded",
        ),
        (
            "UPDATE audit_event SET previous_hash = hash WHERE name = 'explanation.made'",
            "Explanation shap",
            "the event that binds it is broken: its hash does not match its digest",
        ),
        (
            "DELETE FROM audit_event WHERE name = 'actuals.recorded'",
            "Actual by Portal",
            "no event says that they were recorded",
        ),
    ],
)
def test_whatever_is_changed_is_found_by_the_click(
    click: Callable[[], str], statement: str, thing: str, why: str
) -> None:
    change(statement)
    part = click()
    assert "Broken" in part
    [line] = [line for line in part.split('<li class="row">') if "does not hold: " in line]
    assert f"<b>does not hold: </b>{thing}" in line
    assert why in line


def forge(name: str, **data: Any) -> None:
    """Rewrites an event, so that its own digest and hash fit."""
    event = Event.objects.get(name=name)
    event.data = json.dumps(json.loads(event.data or "") | data)
    event.digest = digest(bytes(event.salt or b""), content(event))
    event.hash = link_hash(bytes(event.previous_hash), event.digest)
    event.save()


def test_a_forger_must_rewrite_the_chain_after_the_event(
    click: Callable[[], str], record: PredictionRecord
) -> None:
    forged = Explanation.objects.get()
    forged.text = (forged.text or "").replace("0.5", "0.4")
    forged.digest = digest(bytes(forged.salt or b""), content_of(forged))
    forged.save()
    forge("explanation.made", digest=forged.digest.hex())
    assert "is broken: the event after it does not follow it" in click()


def test_a_forger_must_rewrite_the_head_after_the_last_event(
    click: Callable[[], str], record: PredictionRecord
) -> None:
    forge("actuals.recorded", corrected=1)
    assert "is broken: it is not the one that was recorded last" in click()


def test_an_actual_is_held_against_its_whole_batch(
    deployment: Deployment, reviewer: User, client_for: Any
) -> None:
    request = write_request(deployment, [CASE] * 3)
    first, *_, last = request.predictions.order_by("id")
    rows = [feedback.Given("good", prediction_id=each.id) for each in request.predictions.all()]
    feedback.record_actuals(deployment=deployment, rows=rows, by=PORTAL, now=timezone.now())
    Actual.objects.filter(prediction_id=last.id).delete()
    answer = client_for(reviewer).get(f"/w/retail-credit/predictions/{first.id}/")
    number = Event.objects.get(name="actuals.recorded").number
    assert f"its batch: event {number} binds 3, 2 are here" in answer.content.decode()


def test_what_an_erasure_took_is_no_fault(
    click: Callable[[], str], record: PredictionRecord
) -> None:
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=PORTAL.actor, now=timezone.now()
    )
    part = click()
    assert "Erased" in part
    assert "does not hold" not in part
    assert "Evaluation by Portal, erased" in part
    Evaluation.objects.update(comment="Back")
    assert "it was erased, but has content" in click()


def test_a_prediction_with_nothing_added_says_nothing_of_it(
    deployment: Deployment, reviewer: User, client_for: Any, django_assert_max_num_queries: Any
) -> None:
    path = f"/w/retail-credit/predictions/{prediction_of(deployment).id}/"
    client = client_for(reviewer)
    client.get(path)
    with django_assert_max_num_queries(40):
        answer = client.get(path)
    assert "Added to it" not in answer.content.decode()

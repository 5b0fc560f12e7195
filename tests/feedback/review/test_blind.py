"""Which predictions are hidden from whoever judges them blind, and what the API says of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.core.errors import Conflict
from apps.deployments.models import Deployment
from apps.deployments.services import delete_deployment
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, Evaluation, ReviewQueue
from apps.feedback.review import answers, claims
from apps.feedback.review.blind import hidden_from
from apps.feedback.services import Given, record_actuals
from apps.predictions.models import PredictionRecord
from tests.feedback.conftest import Caller
from tests.feedback.review.conftest import (
    answer,
    case_of,
    claim,
    make_queue,
    nothing_for,
    take_in,
    undo,
)
from tests.feedback.test_api import token
from tests.predictions.factories import CASE, prediction_of, write_request

BAD = '"bad"'


@pytest.fixture
def blind(deployment: Deployment, operator: User) -> ReviewQueue:
    return make_queue(deployment, operator, name="Blind", mode="blind")


@pytest.fixture
def secret(blind: ReviewQueue, deployment: Deployment) -> PredictionRecord:
    """The model said bad."""
    record = prediction_of(deployment, custom_ids=["A-1"])
    take_in(blind)
    return record


@pytest.fixture
def caller(deployment: Deployment, reviewer: User) -> Caller:
    return Caller(deployment, user=reviewer)


def hidden(reviewer: User, after: timedelta = timedelta()) -> list[Any]:
    return list(hidden_from(reviewer, now=timezone.now() + after))


# How long


def test_what_is_held_is_hidden_until_the_first_answer(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User, second: User
) -> None:
    assert hidden(reviewer) == []
    held = claim(blind, reviewer)
    assert (hidden(reviewer), hidden(second)) == ([secret.id], [])
    answers.reveal(claim=held, first_answer="good", by=author_of(reviewer), now=timezone.now())
    assert hidden(reviewer) == []
    undo(answer(held))
    assert hidden(reviewer) == []


def test_an_assisted_queue_hides_nothing(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    claim(queue, reviewer)
    assert hidden(reviewer) == []


def test_what_may_come_again_stays_hidden(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User
) -> None:
    claims.release(claim=claim(blind, reviewer), now=timezone.now())
    assert hidden(reviewer) == [secret.id]
    Claim.objects.update(state=Claim.State.EXPIRED)
    assert hidden(reviewer) == [secret.id]


def test_a_skip_hides_as_long_as_it_can_be_undone(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User
) -> None:
    claims.skip(claim=claim(blind, reviewer), now=timezone.now())
    assert hidden(reviewer) == [secret.id]
    assert hidden(reviewer, timedelta(minutes=11)) == []


def test_a_case_that_others_closed_is_shown(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User, second: User
) -> None:
    claims.release(claim=claim(blind, reviewer), now=timezone.now())
    other = claim(blind, second)
    answers.reveal(claim=other, first_answer="bad", by=author_of(second), now=timezone.now())
    answer(other)
    assert hidden(reviewer) == []


def test_a_deleted_deployment_hides_nothing(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User, operator: User
) -> None:
    claim(blind, reviewer)
    delete_deployment(deployment=blind.deployment, by=operator.actor, now=timezone.now())
    assert hidden(reviewer) == []


def test_who_looked_has_it_for_good(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User
) -> None:
    held = claim(blind, reviewer)
    looked = answers.look(claim=held, by=author_of(reviewer), now=timezone.now())
    assert (looked.state, hidden(reviewer), case_of(held).taken) == ("skipped", [], 0)
    assert nothing_for(blind, reviewer)
    with pytest.raises(Conflict, match="stays with others"):
        undo(looked)
    with pytest.raises(Conflict, match="Nothing of this case"):
        answers.look(claim=held, by=author_of(reviewer), now=timezone.now())


def test_an_old_page_does_not_bring_a_case_back_to_who_looked(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User
) -> None:
    old = claim(blind, reviewer)
    claims.release(claim=old, now=timezone.now())
    answers.look(claim=claim(blind, reviewer), by=author_of(reviewer), now=timezone.now())
    with pytest.raises(Conflict, match="left this case to others"):
        answers.reveal(claim=old, first_answer="good", by=author_of(reviewer), now=timezone.now())


def test_a_skip_without_a_look_is_undone_in_a_blind_queue(
    blind: ReviewQueue, secret: PredictionRecord, reviewer: User
) -> None:
    assert undo(claims.skip(claim=claim(blind, reviewer), now=timezone.now())).state == "held"


# Two queues


def test_an_assisted_queue_does_not_show_what_is_judged_blind(
    blind: ReviewQueue, queue: ReviewQueue, deployment: Deployment, reviewer: User, second: User
) -> None:
    prediction_of(deployment)
    take_in(blind)
    take_in(queue)
    held = claim(blind, reviewer)
    assert nothing_for(queue, reviewer)
    claims.release(claim=held, now=timezone.now())
    assert nothing_for(queue, reviewer)
    assert claim(queue, second)


def test_what_was_met_in_another_queue_is_not_judged_blind(
    blind: ReviewQueue, queue: ReviewQueue, deployment: Deployment, reviewer: User, second: User
) -> None:
    prediction_of(deployment)
    take_in(blind)
    take_in(queue)
    claims.release(claim=claim(queue, reviewer), now=timezone.now())
    assert nothing_for(blind, reviewer)
    assert claim(blind, second)


# The API


@pytest.fixture
def told(blind: ReviewQueue, secret: PredictionRecord, operator: User, second: User) -> None:
    """Somebody disagrees, and it turned out good."""
    Caller(blind.deployment, user=second).evaluate(secret, verdict="disagree", comment="No")
    rows = [Given("good", prediction_id=secret.id)]
    by = author_of(operator)
    record_actuals(deployment=blind.deployment, rows=rows, by=by, now=timezone.now())


def test_the_log_gives_it_without_output(
    blind: ReviewQueue, secret: PredictionRecord, told: None, reviewer: User, caller: Caller
) -> None:
    claim(blind, reviewer)
    for path in (f"predictionLogs/{secret.id}", "predictionLogs?customId=A-1"):
        status, body = caller.call("GET", path)
        [shown] = body if isinstance(body, list) else [body]
        assert status == 200
        assert shown["requestBody"] == {"instances": [CASE]}
        assert "answer first" in shown["withheld"]
        for name in ("responseBody", "predictionClass", "score", "evaluation", "actual"):
            assert shown[name] is None, name
        assert shown["evaluationCount"] is None
        assert BAD not in str(body).replace("'", '"')
    proof = caller.call("GET", f"predictionLogs/{secret.id}")[1]["record"]
    assert (proof["state"], proof["salt"], proof["content"]) == ("intact", None, None)


@pytest.mark.parametrize(
    "query", ["predictionClass=bad", "evaluation=disagreed", "actual=differs", "actual=available"]
)
def test_filters_do_not_tell(
    blind: ReviewQueue,
    secret: PredictionRecord,
    told: None,
    reviewer: User,
    caller: Caller,
    query: str,
) -> None:
    found = [{"id": str(secret.id)}]
    assert [
        {"id": each["id"]} for each in caller.call("GET", f"predictionLogs?{query}")[1]
    ] == found
    claim(blind, reviewer)
    assert caller.call("GET", f"predictionLogs?{query}")[1] == []


def test_raw_bodies_do_not_tell(
    blind: ReviewQueue, deployment: Deployment, reviewer: User, caller: Caller
) -> None:
    write_request(deployment, [CASE] * 2)
    take_in(blind)
    claim(blind, reviewer)
    [request] = caller.call("GET", "requestLogs?includeRawBody=true")[1]
    assert request["rawResponseBody"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/explanations"),
        ("POST", "/explain"),
        ("GET", "/evaluation"),
        ("GET", "/evaluations"),
        ("GET", "/actuals"),
        ("POST", "/evaluatePrediction"),
    ],
)
def test_its_parts_are_refused_in_words(
    blind: ReviewQueue,
    secret: PredictionRecord,
    told: None,
    reviewer: User,
    caller: Caller,
    method: str,
    path: str,
) -> None:
    claim(blind, reviewer)
    body = None if method == "GET" else {"verdict": "agree"}
    status, answered = caller.call(method, f"predictionLogs/{secret.id}{path}", body)
    assert status == 403
    assert answered["message"].endswith("in the queue “Blind”: answer first.")
    assert not Evaluation.objects.filter(author_id=str(reviewer.id)).exists()


def test_programs_and_other_people_see_it(
    blind: ReviewQueue,
    secret: PredictionRecord,
    deployment: Deployment,
    reviewer: User,
    operator: User,
    second: User,
) -> None:
    claim(blind, reviewer)
    program = Caller(deployment, token=token(deployment, operator, "predict"))
    for each in (program, Caller(deployment, user=second)):
        shown = each.call("GET", f"predictionLogs/{secret.id}")[1]
        assert (shown["predictionClass"], shown["withheld"]) == ("bad", None)


def test_who_looks_through_the_api_leaves_the_case(
    blind: ReviewQueue, secret: PredictionRecord, caller: Caller
) -> None:
    held = caller.call("POST", f"reviewQueues/{blind.id}/next")[1]
    where = f"reviewQueues/{blind.id}/cases/{held['id']}/look"
    status, left = caller.call("POST", where)
    assert (status, left["state"], left["prediction"]["outcome"]) == (200, "skipped", "bad")
    assert caller.call("GET", f"predictionLogs/{secret.id}")[1]["predictionClass"] == "bad"
    assert caller.call("POST", where)[0] == 409
    assert Event.objects.filter(name="review.looked").count() == 1


def test_events_never_hold_the_output(
    blind: ReviewQueue, secret: PredictionRecord, told: None, reviewer: User
) -> None:
    claim(blind, reviewer)
    said = Event.objects.filter(data__contains=str(secret.id)).values_list("data", flat=True)
    assert len(said) >= 1
    for data in said:
        for word in ("bad", "good", "disagree", "0.9"):
            assert f'"{word}"' not in (data or "")

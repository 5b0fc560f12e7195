"""A person asks that people look at a prediction."""

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.audit.sentences import sentence
from apps.core.errors import Conflict
from apps.deployments.models import Deployment
from apps.feedback.authors import Author, author_of
from apps.feedback.models import ReviewCase, ReviewQueue
from apps.feedback.review.requests import ask_for_review, queue_for_requests
from apps.feedback.review.services import close_queue
from apps.feedback.services.evaluations import Erased
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.feedback.review.conftest import answer, claim, make_queue, nothing_for, take_in
from tests.predictions.factories import prediction_of


def ask(queue: ReviewQueue, record: PredictionRecord, by: Author) -> ReviewCase:
    return ask_for_review(
        queue=queue, prediction=record, reason="I do earn that", by=by, now=timezone.now()
    )


def test_a_request_brings_a_case_for_certain(
    deployment: Deployment, operator: User, author: Author
) -> None:
    record = prediction_of(deployment)
    queue = make_queue(deployment, operator, rules=[])
    case = ask(queue, record, author)
    assert (case.is_certain, case.probability, case.is_of_stream) == (True, 1, False)
    event = Event.objects.get(name="review.asked")
    assert sentence(event) == "A review of a prediction of Credit risk was asked for"


def test_a_request_for_what_was_looked_at_is_part_of_the_stream(
    deployment: Deployment, operator: User, author: Author
) -> None:
    queue = make_queue(deployment, operator, rules=[])
    record = prediction_of(deployment)
    take_in(queue)
    assert ask(queue, record, author).is_of_stream


def test_a_request_makes_a_drawn_case_certain(
    deployment: Deployment, operator: User, author: Author
) -> None:
    queue = make_queue(deployment, operator, rules=[], audit_probability=0.999)
    record = prediction_of(deployment)
    take_in(queue)
    case = ask(queue, record, author)
    assert (case.is_certain, case.probability, case.slice_probability) == (True, 1, 0.999)
    assert [cause["kind"] for cause in case.causes] == ["audit", "request"]


def test_the_same_author_asks_once_until_it_is_judged(
    queue: ReviewQueue, waiting: PredictionRecord, author: Author, second: User
) -> None:
    ask(queue, waiting, author)
    with pytest.raises(Conflict, match="already"):
        ask(queue, waiting, author)
    ask(queue, waiting, author_of(second))
    assert len(ReviewCase.objects.get().causes) == 3


def test_a_request_after_a_review_asks_somebody_else(
    queue: ReviewQueue,
    waiting: PredictionRecord,
    reviewer: User,
    second: User,
    third: User,
    author: Author,
) -> None:
    answer(claim(queue, second))
    case = ask(queue, waiting, author)
    assert (case.state, case.wanted) == (ReviewCase.State.WAITING, 2)
    assert nothing_for(queue, second)
    answer(claim(queue, reviewer), "disagree")
    case.refresh_from_db()
    assert case.state == ReviewCase.State.ADJUDICATION
    assert claim(queue, third).is_adjudication


def test_an_erased_prediction_is_not_reviewed(
    queue: ReviewQueue, waiting: PredictionRecord, author: Author, operator: User
) -> None:
    predictions.erase_prediction(
        prediction=waiting, reason="Asked for", by=operator.actor, now=timezone.now()
    )
    with pytest.raises(Erased, match="nothing left"):
        ask(queue, waiting, author)


def test_a_request_goes_to_the_oldest_open_queue(
    queue: ReviewQueue, deployment: Deployment, operator: User
) -> None:
    other = make_queue(deployment, operator, name="Other")
    assert queue_for_requests(deployment) == queue
    close_queue(queue=queue, by=operator.actor, now=timezone.now())
    assert queue_for_requests(deployment) == other
    close_queue(queue=other, by=operator.actor, now=timezone.now())
    with pytest.raises(Conflict, match="operator"):
        queue_for_requests(deployment)

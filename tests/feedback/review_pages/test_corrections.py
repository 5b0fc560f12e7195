"""The page of a case shows what was answered, and what its reviewer said later."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.feedback.authors import author_of
from apps.feedback.models import ReviewQueue
from apps.feedback.review import answers
from apps.feedback.selectors import own_evaluation
from apps.feedback.services import Judgement, correct_evaluation
from tests.feedback.review_pages.conftest import (
    answered,
    claim_of,
    enter,
    make_queue,
    page_of,
    text_of,
)


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    made: Client = client_for(reviewer)
    return made


def test_a_case_says_what_was_corrected_since(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    [record] = enter(queue)
    claim = claim_of(queue, reviewer)
    answered(client, claim)
    panel = f"/w/retail-credit/predictions/{record.id}/feedback/"
    assert "You answered this case in the queue Bad ones" in text_of(client.get(panel))
    client.post(f"{panel}evaluate/", {"verdict": "disagree", "desired": "good"})
    shown = text_of(client.get(page_of(claim)))
    assert "You judged this case: agree" in shown
    assert "You corrected it" in shown
    assert "disagree , it should be good" in shown
    assert "Data sets take the correction as your label." in shown
    client.post(f"{panel}withdraw/")
    shown = text_of(client.get(page_of(claim)))
    assert "You withdrew it" in shown
    assert "Data sets take no label from you here." in shown


def test_what_was_answered_elsewhere_is_not_told_to_be_of_a_queue(
    queue: ReviewQueue, client: Client
) -> None:
    [record] = enter(queue)
    panel = f"/w/retail-credit/predictions/{record.id}/feedback/"
    client.post(f"{panel}evaluate/", {"verdict": "agree"})
    shown = text_of(client.get(panel))
    assert "Change what you said" in shown
    assert "You answered this case" not in shown


def test_who_decides_sees_what_was_corrected_since(
    queue: ReviewQueue, operator: User, reviewer: User, second: User, owner: User, client: Client
) -> None:
    double = make_queue(queue.deployment, operator, name="Double", double_share=1.0)
    [record] = enter(double)
    for user, verdict in ((second, "agree"), (owner, "unsure")):
        given = {"judgement": Judgement(verdict), "by": author_of(user), "now": timezone.now()}
        answers.answer(claim=claim_of(double, user), **given)
    before = own_evaluation(record, author_of(second))
    assert before is not None
    correct_evaluation(
        evaluation=before,
        prediction=record,
        judgement=Judgement("disagree", "good"),
        by=author_of(second),
        now=timezone.now() + timedelta(minutes=1),
    )
    shown = text_of(client.get(page_of(claim_of(double, reviewer))))
    assert "Two judgements differ: you decide" in shown
    assert "Agrees" in shown
    assert ": disagrees, it should be good" in shown

"""The list of queues, a queue's page, and the form that makes and changes it."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User, Workspace
from apps.deployments.models import Deployment
from apps.feedback.models import ReviewCase, ReviewQueue
from tests.feedback.review_pages.conftest import (
    HTMX,
    REVIEW,
    claim_of,
    enter,
    make_queue,
    text_of,
)
from tests.predictions.factories import prediction_of

NEW = f"{REVIEW}new/credit-risk/"
FORM = {
    "name": "Doubtful",
    "mode": "assisted",
    "classes": ["bad"],
    "below": "95",
    "audit": "10",
    "double": "20",
    "reasons": "An input is wrong\nPolicy says otherwise\n",
    "minutes": "5",
    "rows-TOTAL_FORMS": "3",
    "rows-INITIAL_FORMS": "0",
    "rows-0-feature": "income",
    "rows-0-least": "2000",
    "rows-1-feature": "city",
    "rows-1-values": "Urk, Ede",
    "rows-2-feature": "",
}


def confirmed(answer: Any) -> dict[str, str]:
    """What the button of the preview sends."""
    found = re.search(r'name="confirmed" value="(\w+)"', answer.content.decode())
    assert found is not None
    return {"confirmed": found[1]}


def test_an_empty_list_says_what_to_do(
    workspace: Workspace, operator: User, reviewer: User, client_for: Any
) -> None:
    assert "Deploy a model" in text_of(client_for(operator).get(REVIEW))
    shown = text_of(client_for(reviewer).get(REVIEW))
    assert "No review queue yet" in shown
    assert "Deploy a model" not in shown


def test_with_a_deployment_the_empty_list_leads_to_a_queue(
    deployment: Deployment, operator: User, reviewer: User, client_for: Any
) -> None:
    assert "Make a queue" in text_of(client_for(operator).get(REVIEW))
    shown = text_of(client_for(reviewer).get(REVIEW))
    assert "An operator or owner of the workspace makes one." in shown
    assert "Credit risk" in text_of(client_for(operator).get(f"{REVIEW}new/"))


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_list_says_what_waits(
    queue: ReviewQueue, reviewer: User, client_for: Any, headers: dict[str, str]
) -> None:
    enter(queue, 3)
    claim_of(queue, reviewer)
    answer = client_for(reviewer).get(REVIEW, headers=headers)
    assert "Bad ones Credit risk Open 3 1 held 3 0" in text_of(answer)
    assert (b"<html" in answer.content) == (not headers)


def test_the_list_asks_as_often_for_many_queues_as_for_one(
    queue: ReviewQueue, reviewer: User, client_for: Any
) -> None:
    client = client_for(reviewer)
    client.get(REVIEW)
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get(REVIEW)
    for number in range(4):
        make_queue(queue.deployment, queue.created_by, name=f"More {number}")
    with CaptureQueriesContext(connection) as many:
        client.get(REVIEW)
    assert len(many) == len(one)


def test_a_queue_says_in_words_what_enters(
    deployment: Deployment, operator: User, reviewer: User, client_for: Any
) -> None:
    rules = [
        {"kind": "class", "classes": ["bad"]},
        {"kind": "confidence", "below": 0.7},
        {"kind": "amount", "feature": "age", "least": 18, "most": 25},
        {"kind": "group", "feature": "city", "values": ["Urk", "Ede"]},
        {"kind": "range", "features": []},
    ]
    queue = make_queue(deployment, operator, rules=rules, audit_probability=0.02)
    shown = text_of(client_for(reviewer).get(f"{REVIEW}{queue.id}/")).replace("\xa0", " ")
    for words in (
        "Where the model says bad",
        "Where the probability of the class is below 70 %",
        "Where Age is between 18 years and 25 years",
        "Where city is Urk or Ede",
        "Where any input lies outside what training saw",
        "2.0 % of all, drawn at random",
    ):
        assert words in shown, words


def test_what_enters_a_blind_queue_is_for_those_who_manage_it(
    blind: ReviewQueue, operator: User, reviewer: User, client_for: Any
) -> None:
    where = f"{REVIEW}{blind.id}/"
    assert "the model says bad" not in text_of(client_for(reviewer).get(where))
    assert "the model says bad" in text_of(client_for(operator).get(where))


def test_a_queue_is_made_after_a_look_at_what_would_enter(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    for p_bad in (0.9, 0.9, 0.02):
        prediction_of(deployment, p_bad=p_bad, cases=[{"age": 41, "city": "Goes", "income": 950}])
    client: Client = client_for(operator)
    seen = client.post(NEW, FORM)
    shown = text_of(seen)
    assert "Of the last 3 predictions, about 2 would have entered." in shown
    assert "2 by the class" in shown
    assert not ReviewQueue.objects.exists()
    made = client.post(NEW, FORM | confirmed(seen))
    queue = ReviewQueue.objects.get()
    assert made["Location"] == f"{REVIEW}{queue.id}/"
    assert queue.rules == [
        {"kind": "class", "classes": ["bad"]},
        {"kind": "confidence", "below": 0.95},
        {"kind": "amount", "feature": "income", "least": 2000.0, "most": None},
        {"kind": "group", "feature": "city", "values": ["Urk", "Ede"]},
    ]
    assert (queue.audit_probability, queue.double_share, queue.claim_minutes) == (0.1, 0.2, 5)
    assert [each["key"] for each in queue.reasons] == ["an-input-is-wrong", "policy-says-otherwise"]


def test_what_is_changed_after_the_look_is_looked_at_again(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    client: Client = client_for(operator)
    seen = client.post(NEW, FORM)
    again = client.post(NEW, FORM | confirmed(seen) | {"audit": "50"})
    assert again.status_code == 200
    assert not ReviewQueue.objects.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"audit": "101"}, "less than or equal to 100"),
        ({"rows-0-feature": ""}, "Choose the feature that this is about."),
        ({"rows-0-values": "1, 2"}, "Give a range, or values, or tick outside: one of them."),
        ({"rows-1-values": "Delft"}, "city is never Delft; it is one of Ede, Goes, Urk."),
        ({"rows-0-most": "10"}, "The most is smaller than the least."),
        ({"reasons": "x\n" * 10}, "at most 9 reasons"),
        ({"minutes": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_fault_stands_at_its_field_and_nothing_is_lost(
    deployment: Deployment, operator: User, client_for: Any, given: dict[str, str], words: str
) -> None:
    answer = client_for(operator).post(NEW, FORM | given)
    assert answer.status_code == 400
    assert words in text_of(answer)
    expected = (FORM | given)["rows-1-values"]
    assert f'value="{expected}"' in answer.content.decode()


def test_a_name_in_use_is_refused_at_its_field(
    queue: ReviewQueue, operator: User, client_for: Any
) -> None:
    client: Client = client_for(operator)
    form = FORM | {"name": queue.name}
    answer = client.post(NEW, form | confirmed(client.post(NEW, form)))
    assert answer.status_code == 400
    assert "has a queue Bad ones already" in text_of(answer)


def test_a_queue_is_changed_and_its_form_shows_what_it_is(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    client: Client = client_for(operator)
    client.post(NEW, FORM | confirmed(client.post(NEW, FORM)))
    queue = ReviewQueue.objects.get()
    where = f"{REVIEW}{queue.id}/change/"
    form, rows = (client.get(where).context[name] for name in ("form", "rows"))
    shown = {each.name: each.value() for each in form}
    assert (shown["classes"], shown["below"], shown["audit"]) == (["bad"], 95.0, 10.0)
    assert [row["values"].value() for row in rows][:2] == [None, "Urk, Ede"]
    changed = FORM | {"name": "Most doubtful", "rows-INITIAL_FORMS": "2"}
    client.post(where, changed | confirmed(client.post(where, changed)))
    before = queue.rules
    queue.refresh_from_db()
    assert (queue.name, queue.rules) == ("Most doubtful", before)


def test_a_queue_is_closed_and_opened_again(
    queue: ReviewQueue, operator: User, client_for: Any
) -> None:
    client: Client = client_for(operator)
    assert "The queue is closed" in text_of(client.post(f"{REVIEW}{queue.id}/close/", follow=True))
    twice = text_of(client.post(f"{REVIEW}{queue.id}/close/", follow=True))
    assert "This queue is closed already." in twice
    client.post(f"{REVIEW}{queue.id}/open/")
    queue.refresh_from_db()
    assert queue.is_open


def test_a_review_is_asked_for_on_the_page_of_the_prediction(
    queue: ReviewQueue, reviewer: User, client_for: Any
) -> None:
    record = prediction_of(queue.deployment, p_bad=0.1)
    where = f"/w/retail-credit/predictions/{record.id}/review/"
    client: Client = client_for(reviewer)
    assert where in client.get(f"/w/retail-credit/predictions/{record.id}/").content.decode()
    assert "In no review queue." in text_of(client.get(where, headers=HTMX))
    assert client.post(where, {"reason": ""}).status_code == 400
    said = client.post(where, {"reason": "The customer objects"}, headers=HTMX)
    assert "It waits for a reviewer, before all others." in text_of(said)
    assert "Waiting" in text_of(said)
    assert ReviewCase.objects.get().prediction_id == record.id
    again = client.post(where, {"reason": "Once more"}, headers=HTMX)
    assert (again.status_code, "has asked for this review already" in text_of(again)) == (200, True)
    assert client.post(where, {"reason": "Once more"}).status_code == 409


def test_without_an_open_queue_nobody_can_be_asked(
    deployment: Deployment, operator: User, client_for: Any
) -> None:
    record = prediction_of(deployment)
    where = f"/w/retail-credit/predictions/{record.id}/review/"
    client: Client = client_for(operator)
    assert "No review queue of this deployment is open." in text_of(client.get(where))
    refused = client.post(where, {"reason": "Please"})
    assert refused.status_code == 409
    assert "No review queue of this deployment is open" in text_of(refused)


def test_home_says_how_many_cases_wait_for_me(
    queue: ReviewQueue, reviewer: User, auditor: User, client_for: Any
) -> None:
    home = "/w/retail-credit/"
    assert "to review" not in text_of(client_for(reviewer).get(home))
    enter(queue, 2)
    shown = text_of(client_for(reviewer).get(home))
    assert "2 cases to review" in shown
    assert "In the queue Bad ones of Credit risk." in shown
    assert "to review" not in text_of(client_for(auditor).get(home))
    Deployment.objects.update(desired=Deployment.Desired.DELETED)
    assert "to review" not in text_of(client_for(reviewer).get(home))


@pytest.mark.parametrize(
    ("path", "method", "manages"),
    [
        ("", "get", False),
        ("new/", "get", True),
        ("new/credit-risk/", "get", True),
        ("new/credit-risk/", "post", True),
        ("{queue}/", "get", False),
        ("{queue}/change/", "get", True),
        ("{queue}/change/", "post", True),
        ("{queue}/open/", "post", True),
        ("{queue}/close/", "post", True),
    ],
)
def test_who_may_not_is_kept_out(
    queue: ReviewQueue,
    outsider: User,
    reviewer: User,
    auditor: User,
    client_for: Any,
    path: str,
    method: str,
    manages: bool,
) -> None:
    where = REVIEW + path.format(queue=queue.id)
    for headers in ({}, HTMX):
        assert getattr(client_for(outsider), method)(where, headers=headers).status_code == 404
        for member in (reviewer, auditor):
            status = getattr(client_for(member), method)(where, headers=headers).status_code
            assert status == (403 if manages else 200)
    assert getattr(Client(), method)(where)["Location"].startswith("/account/login/")
    wrong = client_for(reviewer).delete(where)
    assert wrong.status_code == 405 or manages


def test_asking_for_a_review_wants_the_right(
    queue: ReviewQueue, outsider: User, auditor: User, client_for: Any
) -> None:
    record = prediction_of(queue.deployment)
    where = f"/w/retail-credit/predictions/{record.id}/review/"
    assert client_for(outsider).get(where).status_code == 404
    assert client_for(auditor).get(where).status_code == 200
    assert client_for(auditor).post(where, {"reason": "x"}).status_code == 403
    assert Client().get(where)["Location"].startswith("/account/login/")

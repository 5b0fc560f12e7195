"""Who judges a case blind meets its output nowhere before the first answer."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, Evaluation, ReviewQueue
from apps.feedback.review import claims
from apps.feedback.services import Given, Judgement, evaluate_prediction, record_actuals
from apps.predictions.models import PredictionRecord
from tests.feedback.review_pages.conftest import (
    HTMX,
    REVIEW,
    claim_of,
    enter,
    make_queue,
    page_of,
    text_of,
)
from tests.predictions.test_pages import exported

W = "/w/retail-credit/"
LIST = f"{W}deployments/credit-risk/predictions/"
# The output 0.9 for bad, the one who disagreed, and the actual.
TOLD = re.compile(r"\b(bad|0\.9|90\.0|disagrees?|good)\b", re.IGNORECASE)


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    made: Client = client_for(reviewer)
    return made


@pytest.fixture
def record(blind: ReviewQueue, operator: User) -> PredictionRecord:
    """Bad, says the model; an operator disagrees, and it turned out good."""
    [made] = enter(blind, custom_ids=["A-1"])
    by = author_of(operator)
    evaluate_prediction(
        prediction=made, judgement=Judgement("disagree", "good"), by=by, now=timezone.now()
    )
    record_actuals(
        deployment=blind.deployment,
        rows=[Given("good", prediction_id=made.id)],
        by=by,
        now=timezone.now(),
    )
    return made


@pytest.fixture
def held(blind: ReviewQueue, record: PredictionRecord, reviewer: User) -> Claim:
    return claim_of(blind, reviewer)


def of(record: PredictionRecord, part: str = "") -> str:
    return f"{W}predictions/{record.id}/{part}"


def rows_of(client: Client, query: str = "") -> str:
    answer = client.get(f"{LIST}{query}", headers=HTMX)
    return text_of(answer)


def test_its_page_says_why_and_leads_to_the_case(
    client: Client, record: PredictionRecord, held: Claim
) -> None:
    answer = client.get(of(record))
    words = text_of(answer)
    assert "You are judging this case blind, in the queue “Blind ones”: answer first." in words
    assert "Age 41 years" in words
    assert not TOLD.search(words)
    page = answer.content.decode()
    assert f'href="{page_of(held)}"' in page
    for part in ("explanations/", "feedback/", "verify/"):
        assert of(record, part) not in page


@pytest.mark.parametrize(
    "part",
    [
        "explanations/",
        "explanations/brief/",
        "explanations/recorded-0/contributions.csv",
        "feedback/",
        "review/",
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_its_parts_are_refused_in_words(
    client: Client, record: PredictionRecord, held: Claim, part: str, headers: dict[str, str]
) -> None:
    answer = client.get(of(record, part), headers=headers)
    assert answer.status_code == 403
    assert "answer first" in text_of(answer)
    assert (f'href="{page_of(held)}"' in answer.content.decode()) is not bool(headers)
    assert not TOLD.search(text_of(answer))


def test_nothing_is_said_of_it_before_the_answer(
    client: Client, record: PredictionRecord, held: Claim, reviewer: User
) -> None:
    said = {"verdict": "agree", "actual": "bad"}
    for act in ("evaluate", "actual"):
        assert client.post(of(record, f"feedback/{act}/"), said).status_code == 403
    assert not Evaluation.objects.filter(author_id=str(reviewer.id)).exists()


def test_lists_show_it_without_output_and_filters_do_not_tell(
    client: Client, record: PredictionRecord, held: Claim
) -> None:
    rows = rows_of(client)
    assert "withheld" in rows
    assert "A-1" in rows
    assert not TOLD.search(rows)
    for query in ("outcome=bad", "min_score=80", "evaluation=disagreed", "actual=differs"):
        assert "Nothing fits this filter" in rows_of(client, f"?{query}"), query
    assert "A-1" in rows_of(client, "?custom_id=A-1")


def test_its_request_and_a_search_do_not_tell(
    client: Client, record: PredictionRecord, held: Claim
) -> None:
    for where in (f"{W}requests/{record.request_id}/", "/search/?q=A-1"):
        shown = text_of(client.get(where))
        assert "withheld" in shown, where
        assert not re.search(r"\bbad\b", shown), where


@pytest.mark.django_db(transaction=True)
def test_files_of_the_log_do_not_tell(
    record: PredictionRecord, held: Claim, reviewer: User, operator: User
) -> None:
    for format_ in ("csv", "jsonl"):
        mine = exported(reviewer, f"{LIST}export/", format_)
        assert "A-1" in mine
        assert not re.search(r"\bbad\b|\b0\.9\b", mine)
        assert "bad" in exported(operator, f"{LIST}export/", format_)


def test_a_case_like_it_does_not_tell(
    client: Client, record: PredictionRecord, held: Claim, blind: ReviewQueue, operator: User
) -> None:
    """Among similar past cases of another queue."""
    other = make_queue(blind.deployment, operator, name="Assisted ones")
    enter(other)
    claim = claim_of(other, held.reviewer)
    page = client.get(page_of(claim)).content.decode()
    assert "The model says bad" in page
    assert str(record.id) not in page


def test_others_see_it(
    record: PredictionRecord, held: Claim, second: User, client_for: Any
) -> None:
    client = client_for(second)
    assert "The model says bad" in text_of(client.get(of(record)))
    assert client.get(of(record, "feedback/")).status_code == 200
    assert "bad" in rows_of(client, "?outcome=bad")


def test_no_role_sees_what_it_judges(
    blind: ReviewQueue, record: PredictionRecord, owner: User, client_for: Any
) -> None:
    claim_of(blind, owner)
    client = client_for(owner)
    assert not TOLD.search(text_of(client.get(of(record))))
    assert "withheld" in text_of(client.get(f"{LIST}erase/?custom_id=A-1"))


def test_the_first_answer_shows_everything(
    client: Client, record: PredictionRecord, held: Claim
) -> None:
    client.post(page_of(held, "first/"), {"first": "good"})
    assert "The model says bad" in text_of(client.get(of(record)))
    assert client.get(of(record, "explanations/brief/"), headers=HTMX).status_code == 200


@pytest.mark.parametrize("way", ["release", "skip"])
def test_giving_it_back_shows_nothing(
    client: Client, record: PredictionRecord, held: Claim, way: str
) -> None:
    """It may come again, or the skip be undone."""
    getattr(claims, way)(claim=held, now=timezone.now())
    assert not TOLD.search(text_of(client.get(of(record))))


def test_who_looks_leaves_the_case_to_others_on_the_record(
    client: Client, record: PredictionRecord, held: Claim, second: User
) -> None:
    answer = client.post(page_of(held, "look/"), follow=True)
    assert answer.redirect_chain[-1][0] == of(record)
    assert "The model says bad" in text_of(answer)
    event = Event.objects.get(name="review.looked")
    assert str(record.id) in (event.data or "")
    assert event.actor_id == str(held.reviewer_id)
    assert "You looked, and left this case" in text_of(client.get(page_of(held)))
    undone = client.post(f"{REVIEW}{held.case.queue_id}/undo/", follow=True)
    assert "stays with others" in text_of(undone)
    nothing = client.post(f"{REVIEW}{held.case.queue_id}/next/", follow=True)
    assert "Nothing waits for you" in text_of(nothing)
    assert claim_of(held.case.queue, second).case_id == held.case_id


def test_where_nothing_is_hidden_there_is_nothing_to_look_at(
    client: Client, queue: ReviewQueue, reviewer: User
) -> None:
    [record] = enter(queue)
    answer = client.post(page_of(claim_of(queue, reviewer), "look/"), follow=True)
    assert "Nothing of this case is hidden from you." in text_of(answer)
    assert Claim.objects.get().state == "held"
    assert not Event.objects.filter(name="review.looked").exists()
    assert record.id == Claim.objects.get().case.prediction_id

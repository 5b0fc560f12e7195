"""Judging cases on their pages, with the script's parts and without any script."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, Evaluation, ReviewQueue
from apps.feedback.review.requests import ask_for_review
from apps.feedback.services import Given, record_actuals
from apps.predictions.models import PredictionRecord
from apps.predictions.services import erase_prediction
from tests.feedback.review_pages.conftest import (
    HTMX,
    REVIEW,
    answered,
    claim_of,
    enter,
    make_queue,
    page_of,
    text_of,
)
from tests.predictions.factories import prediction_of

# What would give the model's output away.
OUTPUT = ("The model says", "0.9", "90.0", 'value="agree"', "explanations/", "predictions/")


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    made: Client = client_for(reviewer)
    return made


def start(client: Client, queue: ReviewQueue) -> Any:
    return client.post(f"{REVIEW}{queue.id}/next/", follow=True)


def test_starting_takes_the_next_case_to_its_page(queue: ReviewQueue, client: Client) -> None:
    [record] = enter(queue, custom_ids=["A-1"])
    answer = start(client, queue)
    claim = Claim.objects.get()
    assert answer.redirect_chain[-1][0] == page_of(claim)
    shown = text_of(answer)
    for words in ("A-1", "Age 41 years", "The model says bad", "90.0", "An input is wrong"):
        assert words in shown.replace("\xa0", " "), words
    assert claim.case.prediction_id == record.id


def test_what_training_never_saw_is_marked(queue: ReviewQueue, client: Client) -> None:
    enter(queue, cases=[{"age": 41, "city": "Delft", "income": 5000}])
    shown = text_of(start(client, queue))
    assert "5,000 outside training saw 900 to 3,000" in shown
    assert "Delft new training never saw it" in shown


def test_where_nothing_waits_one_is_told(queue: ReviewQueue, client: Client) -> None:
    answer = start(client, queue)
    assert answer.redirect_chain[-1][0] == f"{REVIEW}{queue.id}/"
    assert "Nothing waits for you in this queue now." in text_of(answer)


def test_an_answer_is_kept_and_leads_to_the_next_case(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue, 2)
    told = json.dumps([{"name": "shap", "method": "shap.tree"}])
    PredictionRecord.objects.update(explanations=told)
    first = claim_of(queue, reviewer)
    said = {"desired": "good", "comment": "Paid since", "reason": "policy", "spent": "1"}
    shown = {"shown": ["recorded-0", "made-up"]}
    answer = answered(client, first, verdict="disagree", **said, **shown)
    kept = Evaluation.objects.get()
    assert (kept.verdict, kept.desired_outcome) == ("disagree", "good")
    assert (kept.comment, kept.reason, kept.spent_ms) == ("Paid since", "policy", 1)
    assert kept.seen_value["mode"] == "assisted"
    seen = [{"name": "shap", "id": "recorded-0"}]
    assert kept.seen_value["explanations"] == seen
    second = Claim.objects.get(state="held")
    assert (answer.status_code, answer["Location"]) == (302, page_of(second))


def test_who_agrees_wishes_nothing_else(queue: ReviewQueue, client: Client, reviewer: User) -> None:
    """The field is hidden then, and may hold the only other class."""
    enter(queue)
    answered(client, claim_of(queue, reviewer), desired="good")
    assert Evaluation.objects.get().desired_outcome is None


def test_no_more_time_is_kept_than_the_case_was_held(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue)
    answered(client, claim_of(queue, reviewer), spent="80000000")
    spent = Evaluation.objects.get().spent_ms
    assert spent is not None
    assert spent < 60_000


def test_the_part_after_an_answer_is_the_next_case(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue, 2)
    first = claim_of(queue, reviewer)
    answer = client.post(page_of(first, "answer/"), {"verdict": "agree"}, headers=HTMX)
    second = Claim.objects.get(state="held")
    assert answer.content.strip().startswith(b"<section")
    assert f'data-case="{second.id}"' in answer.content.decode()
    answer = client.post(page_of(second, "answer/"), {"verdict": "agree"}, headers=HTMX)
    assert "Nothing waits for you now" in text_of(answer)


def test_the_next_case_comes_ahead_and_then_the_one_after(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue, 3)
    first = claim_of(queue, reviewer)
    answer = client.post(page_of(first, "ahead/"), headers=HTMX)
    second = Claim.objects.exclude(id=first.id).get()
    assert f'data-case="{second.id}"' in answer.content.decode()
    assert "1 judged in 24 h · 1 more case waits" in text_of(answer)
    said = {"verdict": "agree", "beside": str(second.id)}
    answer = client.post(page_of(first, "answer/"), said, headers=HTMX)
    third = Claim.objects.exclude(id__in=[first.id, second.id]).get()
    assert f'data-case="{third.id}"' in answer.content.decode()
    assert "2 judged in 24 h · the last one for now" in text_of(answer)
    said = {"verdict": "agree", "beside": str(third.id)}
    assert client.post(page_of(second, "answer/"), said, headers=HTMX).status_code == 204


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"verdict": ""}, 400, "Say whether you agree, disagree or are unsure."),
        ({"verdict": "disagree", "desired": "ugly"}, 400, "its classes are good, bad"),
        ({"reason": "mood"}, 400, "Choose one of wrong-input, policy."),
        ({"comment": "x" * 10_001}, 400, "at most 10000 characters"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_does_not_fit_is_said_and_nothing_typed_is_lost(
    queue: ReviewQueue,
    client: Client,
    reviewer: User,
    said: dict[str, str],
    status: int,
    words: str,
    headers: dict[str, str],
) -> None:
    enter(queue)
    given = {"verdict": "agree", "comment": "My <b>comment</b>"} | said
    claim = claim_of(queue, reviewer)
    answer = client.post(page_of(claim, "answer/"), given, headers=headers)
    assert answer.status_code == status
    assert words in text_of(answer)
    if "comment" not in said:
        assert "My &lt;b&gt;comment&lt;/b&gt;" in answer.content.decode()
    assert not Evaluation.objects.exists()


def test_a_case_whose_time_ran_out_is_somebody_elses(
    queue: ReviewQueue, client: Client, reviewer: User, second: User
) -> None:
    enter(queue)
    claim = claim_of(queue, reviewer)
    Claim.objects.update(until=timezone.now() - timedelta(minutes=1))
    claim_of(queue, second)
    answer = answered(client, claim, comment="Typed long")
    assert answer.status_code == 409
    assert "somebody else has it now" in text_of(answer)
    assert "Typed long" in text_of(answer)


def test_a_draft_is_kept_and_stands_there_again(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue)
    claim = claim_of(queue, reviewer)
    typed = {"verdict": "disagree", "comment": "Half a sent", "reason": "policy"}
    answer = client.post(page_of(claim, "draft/"), typed, headers=HTMX)
    assert text_of(answer).startswith("Kept ")
    page = client.get(page_of(claim)).content.decode()
    assert "Half a sent</textarea>" in page
    assert 'value="disagree" required checked' in page
    assert 'value="policy" checked' in page


def test_a_draft_that_comes_after_the_answer_says_nothing(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue)
    claim = claim_of(queue, reviewer)
    answered(client, claim, comment="All")
    late = client.post(page_of(claim, "draft/"), {"comment": "Al"}, headers=HTMX)
    assert late.status_code == 204
    claim.refresh_from_db()
    assert claim.draft["comment"] == "All"


def test_a_draft_that_is_too_long_is_refused_in_a_line(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue)
    typed = {"comment": "x" * 40_000}
    answer = client.post(page_of(claim_of(queue, reviewer), "draft/"), typed, headers=HTMX)
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "at most 30,000 characters" in answer.content.decode()


def test_a_skipped_case_is_left_to_others(
    queue: ReviewQueue, client: Client, reviewer: User, second: User
) -> None:
    enter(queue)
    claim = claim_of(queue, reviewer)
    assert client.post(page_of(claim, "skip/"), {"spent": "5"}).status_code == 302
    assert "You skipped this case" in text_of(client.get(page_of(claim)))
    assert claim_of(queue, second).case_id == claim.case_id


def test_the_last_answer_is_undone(queue: ReviewQueue, client: Client, reviewer: User) -> None:
    enter(queue)
    claim = claim_of(queue, reviewer)
    answered(client, claim, comment="Too fast")
    assert "You judged this case: agree" in text_of(client.get(page_of(claim)))
    answer = client.post(f"{REVIEW}{queue.id}/undo/", follow=True)
    assert answer.redirect_chain[-1][0] == page_of(claim)
    assert "Too fast</textarea>" in answer.content.decode()
    assert not Evaluation.objects.standing().exists()


def test_where_there_is_nothing_to_undo_one_is_told(queue: ReviewQueue, client: Client) -> None:
    where = f"{REVIEW}{queue.id}/undo/"
    assert "There is nothing to undo" in text_of(client.post(where, follow=True))
    answer = client.post(where, headers=HTMX)
    assert (answer.status_code, answer["Content-Type"]) == (409, "text/plain; charset=utf-8")


def test_who_stops_gives_everything_back(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(queue, 2)
    client.post(page_of(claim_of(queue, reviewer), "ahead/"), headers=HTMX)
    client.post(f"{REVIEW}{queue.id}/leave/")
    assert set(Claim.objects.values_list("state", flat=True)) == {"released"}


def test_blind_mode_holds_the_models_output_back_entirely(
    blind: ReviewQueue, client: Client, reviewer: User
) -> None:
    [record] = enter(blind, custom_ids=["A-1"])
    other = prediction_of(blind.deployment)
    record_actuals(
        deployment=blind.deployment,
        rows=[Given("bad", prediction_id=other.id)],
        by=author_of(reviewer),
        now=timezone.now(),
    )
    claim = claim_of(blind, reviewer)
    for headers in ({}, HTMX):
        page = client.get(page_of(claim), headers=headers).content.decode()
        for words in OUTPUT:
            assert words not in page, words
        assert str(record.id) not in page
        assert str(other.id) not in page
    assert "Your answer first" in page
    shown = client.post(page_of(claim, "first/"), {"first": "good"}, headers=HTMX)
    words = text_of(shown)
    assert "The model says bad" in words
    assert "You said good before you saw it." in words
    assert 'value="disagree" required checked' in shown.content.decode()
    assert str(other.id) in shown.content.decode()


def test_ahead_a_blind_case_tells_no_more(
    blind: ReviewQueue, client: Client, reviewer: User
) -> None:
    records = enter(blind, 2)
    page = client.post(page_of(claim_of(blind, reviewer), "ahead/"), headers=HTMX)
    assert "Your answer first" in text_of(page)
    for words in (*OUTPUT, *(str(each.id) for each in records)):
        assert words not in page.content.decode(), words


@pytest.mark.parametrize(
    ("first", "words"),
    [("", "Say what you hold right"), ("ugly", "its classes are good, bad")],
)
def test_a_first_answer_must_be_one(
    blind: ReviewQueue, client: Client, reviewer: User, first: str, words: str
) -> None:
    enter(blind)
    claim = claim_of(blind, reviewer)
    answer = client.post(page_of(claim, "first/"), {"first": first})
    assert answer.status_code == 400
    assert words in text_of(answer)
    claim.refresh_from_db()
    assert claim.revealed_at is None


def test_without_a_first_answer_no_judgement_is_taken(
    blind: ReviewQueue, client: Client, reviewer: User
) -> None:
    enter(blind)
    answer = answered(client, claim_of(blind, reviewer))
    assert answer.status_code == 409
    assert "Give your own answer first" in text_of(answer)
    assert "The model says" not in text_of(answer)


def test_between_two_judgements_a_third_sees_both(
    queue: ReviewQueue,
    client: Client,
    reviewer: User,
    second: User,
    governance: User,
    client_for: Any,
) -> None:
    both = make_queue(queue.deployment, queue.created_by, name="Twice", double_share=1.0)
    enter(both)
    answered(client, claim_of(both, reviewer), comment="It is right")
    other = claim_of(both, second)
    said = {"verdict": "disagree", "desired": "good", "reason": "policy"}
    answered(client_for(second), other, **said)
    shown = text_of(start(client_for(governance), both))
    assert "Two judgements differ: you decide" in shown
    assert "Reviewer Agrees" in shown
    assert "It is right" in shown
    assert "Second Disagrees It should be good" in shown
    assert "Policy says otherwise" in shown


def test_who_asked_and_why_stands_with_the_case(
    queue: ReviewQueue, client: Client, operator: User
) -> None:
    record = prediction_of(queue.deployment)
    ask_for_review(
        queue=queue,
        prediction=record,
        reason="The customer <i>objects</i>",
        by=author_of(operator),
        now=timezone.now(),
    )
    page = start(client, queue).content.decode()
    assert "The customer &lt;i&gt;objects&lt;/i&gt;" in page


def test_similar_past_cases_stand_with_their_outcomes(
    queue: ReviewQueue, client: Client, reviewer: User
) -> None:
    near = _known(queue, reviewer, {"age": 42, "city": "Urk", "income": 2500.5}, "good")
    far = _known(queue, reviewer, {"age": 70, "city": "Ede", "income": 950}, "bad")
    enter(queue)
    page = start(client, queue).content.decode()
    similar = page[page.index("Similar past cases") :]
    assert similar.index(str(near.id)) < similar.index(str(far.id))
    assert "Age 42 years" in similar


def _known(queue: ReviewQueue, by: User, case: dict[str, Any], actual: str) -> PredictionRecord:
    record = prediction_of(queue.deployment, cases=[case], p_bad=0.1)
    rows = [Given(actual, prediction_id=record.id)]
    now = timezone.now()
    record_actuals(deployment=queue.deployment, rows=rows, by=author_of(by), now=now)
    return record


def test_an_erased_case_says_so(
    queue: ReviewQueue, client: Client, reviewer: User, owner: User
) -> None:
    [record] = enter(queue)
    claim = claim_of(queue, reviewer)
    erase_prediction(prediction=record, reason="asked", by=owner.actor, now=timezone.now())
    assert "nothing left to judge" in text_of(client.get(page_of(claim)))
    answer = answered(client, claim)
    assert answer.status_code == 410


PARTS = ("", "answer/", "skip/", "draft/", "ahead/", "first/")


@pytest.mark.parametrize("part", PARTS)
def test_a_case_is_its_reviewers_alone(
    queue: ReviewQueue,
    reviewer: User,
    second: User,
    outsider: User,
    auditor: User,
    client_for: Any,
    part: str,
) -> None:
    enter(queue)
    where = page_of(claim_of(queue, reviewer), part)
    method = "get" if part == "" else "post"
    for user, status in ((second, 404), (outsider, 404), (auditor, 403)):
        for headers in ({}, HTMX):
            assert getattr(client_for(user), method)(where, headers=headers).status_code == status
    answer = getattr(Client(), method)(where)
    assert answer["Location"].startswith("/account/login/")
    wrong = client_for(reviewer).get(where) if part else client_for(reviewer).post(where)
    assert wrong.status_code == 405


@pytest.mark.parametrize("part", ["next/", "undo/", "leave/"])
def test_working_on_a_queue_wants_the_right(
    queue: ReviewQueue, outsider: User, auditor: User, client_for: Any, part: str
) -> None:
    where = f"{REVIEW}{queue.id}/{part}"
    assert client_for(outsider).post(where).status_code == 404
    assert client_for(auditor).post(where).status_code == 403
    assert Client().post(where)["Location"].startswith("/account/login/")
    assert client_for(auditor).get(where).status_code == 405

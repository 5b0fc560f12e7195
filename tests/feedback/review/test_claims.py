"""Who has which case: never more people than it wants, and nothing that was typed is lost."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import Conflict, Invalid
from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.feedback import services as feedback
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, ReviewCase, ReviewQueue
from apps.feedback.review import claims
from apps.feedback.review.claims import Gone
from apps.feedback.review.requests import ask_for_review
from apps.feedback.review.selectors import progress_of
from apps.feedback.services import Judgement
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.feedback.review.conftest import (
    answer,
    case_of,
    claim,
    make_queue,
    nothing_for,
    take_in,
)
from tests.predictions.factories import CASE, prediction_of, write_request

LATER = timedelta(minutes=16)
DRAFT = {"verdict": "disagree", "comment": "Income was mis"}


def at_once(work: Callable[[Any], Any], given: list[Any]) -> list[Any]:
    """Runs `work` for each in a thread with a connection of its own, all from the same moment."""
    barrier = Barrier(len(given))

    def run(each: Any) -> Any:
        close_old_connections()
        try:
            barrier.wait(30)
            return work(each)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(given)) as threads:
        return list(threads.map(run, given))


# Taking


@pytest.mark.django_db(transaction=True)
def test_two_people_never_hold_the_same_case(
    queue: ReviewQueue, deployment: Deployment, reviewers: Callable[[int], list[User]]
) -> None:
    people = reviewers(4)
    write_request(deployment, [CASE] * 40)
    take_in(queue)

    def work(user: User) -> list[Any]:
        found = []
        for _ in range(10):
            held = claim(queue, user)
            found.append(held.case_id)
            answer(held)
        return found

    taken = [case for found in at_once(work, people) for case in found]
    assert len(taken) == len(set(taken)) == 40
    assert not ReviewCase.objects.open().exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_who_come_at_once_get_twenty_cases(
    queue: ReviewQueue, deployment: Deployment, reviewers: Callable[[int], list[User]]
) -> None:
    people = reviewers(20)
    write_request(deployment, [CASE] * 20)
    take_in(queue)
    held = at_once(lambda user: claim(queue, user).case_id, people)
    assert len(set(held)) == 20


@pytest.mark.django_db(transaction=True)
def test_of_five_who_want_the_last_case_one_gets_it(
    queue: ReviewQueue, deployment: Deployment, reviewers: Callable[[int], list[User]]
) -> None:
    people = reviewers(5)
    prediction_of(deployment)
    take_in(queue)
    got = at_once(
        lambda user: claims.claim_next(queue=queue, reviewer=user, now=timezone.now()), people
    )
    assert Counter(each is not None for each in got) == {True: 1, False: 4}


@pytest.mark.django_db(transaction=True)
def test_a_locked_case_is_passed_over(
    queue: ReviewQueue, deployment: Deployment, reviewer: User
) -> None:
    write_request(deployment, [CASE] * 2)
    take_in(queue)
    first, second = ReviewCase.objects.all()
    with transaction.atomic():
        ReviewCase.objects.select_for_update().get(id=first.id)
        [held] = at_once(lambda user: claim(queue, user).case_id, [reviewer])
    assert held == second.id


@pytest.mark.django_db(transaction=True)
def test_two_browsers_of_one_person_show_one_case(
    queue: ReviewQueue, deployment: Deployment, reviewer: User
) -> None:
    write_request(deployment, [CASE] * 3)
    take_in(queue)
    found = at_once(lambda user: claim(queue, user).id, [reviewer, reviewer])
    assert set(found) == {Claim.objects.get().id}


def test_the_database_holds_the_limits(waiting: PredictionRecord, reviewer: User) -> None:
    case = ReviewCase.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        ReviewCase.objects.filter(id=case.id).update(taken=2)
    times = {"at": timezone.now(), "until": timezone.now()}
    Claim.objects.create(case=case, reviewer=reviewer, **times)
    with pytest.raises(IntegrityError), transaction.atomic():
        Claim.objects.create(case=case, reviewer=reviewer, **times)


def test_who_comes_again_gets_the_case_that_they_hold(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    assert claim(queue, reviewer) == claim(queue, reviewer)
    assert nothing_for(queue, second)


def test_the_next_case_can_be_loaded_ahead(
    queue: ReviewQueue, deployment: Deployment, reviewer: User
) -> None:
    write_request(deployment, [CASE] * 3)
    take_in(queue)
    held = claim(queue, reviewer)
    ahead = claims.next_after(claim=held, now=timezone.now())
    assert ahead is not None
    assert ahead.case_id != held.case_id
    assert claims.next_after(claim=held, now=timezone.now()) == ahead
    answer(held)
    assert claim(queue, reviewer) == ahead


def test_requests_of_people_come_first(
    queue: ReviewQueue, deployment: Deployment, reviewer: User, operator: User
) -> None:
    write_request(deployment, [CASE] * 3)
    take_in(queue)
    last = PredictionRecord.objects.order_by("id").last()
    assert last is not None
    ask_for_review(
        queue=queue,
        prediction=last,
        reason="I do earn that",
        by=author_of(operator),
        now=timezone.now(),
    )
    assert claim(queue, reviewer).case.prediction_id == last.id


def test_a_case_never_comes_to_who_judged_it(
    deployment: Deployment, operator: User, reviewer: User, second: User
) -> None:
    queue = make_queue(deployment, operator, double_share=1.0)
    prediction_of(deployment)
    take_in(queue)
    answer(claim(queue, reviewer))
    assert nothing_for(queue, reviewer)
    assert claim(queue, second)


def test_a_case_does_not_come_to_who_evaluated_the_prediction_elsewhere(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    held = claim(queue, reviewer)
    feedback.evaluate_prediction(
        prediction=waiting,
        judgement=Judgement("agree"),
        by=author_of(reviewer),
        now=timezone.now(),
    )
    assert nothing_for(queue, reviewer)
    held.refresh_from_db()
    assert held.state == Claim.State.RELEASED
    assert claim(queue, second)


def test_a_skipped_case_goes_to_others(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    claims.skip(claim=claim(queue, reviewer), spent_ms=900, now=timezone.now())
    assert nothing_for(queue, reviewer)
    assert claim(queue, second)


def test_a_released_case_may_come_again(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    held = claim(queue, reviewer)
    claims.save_draft(claim=held, draft=DRAFT, now=timezone.now())
    claims.release(claim=held, now=timezone.now())
    again = claim(queue, reviewer)
    assert (again.id != held.id, again.draft) == (True, DRAFT)


def test_the_next_case_is_found_by_an_index_whatever_waits(
    queue: ReviewQueue, reviewer: User
) -> None:
    chances = {"probability": 0.02, "slice_probability": 0.02}
    rows = [
        ReviewCase(queue=queue, prediction_id=uuid7(), at=timezone.now(), **chances)
        for _ in range(3_000)
    ]
    ReviewCase.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE feedback_reviewcase")
    with transaction.atomic():
        plan = claims._waiting(queue, reviewer)[:1].explain()
    assert "case_open" in plan
    assert "Sort" not in plan
    assert "Seq Scan on feedback_reviewcase" not in plan


# Time


def test_a_hold_that_ran_out_goes_to_the_next(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    held = claim(queue, reviewer)
    later = timezone.now() + LATER
    assert claims.claim_next(queue=queue, reviewer=second, now=later) is not None
    held.refresh_from_db()
    assert held.state == Claim.State.EXPIRED
    assert case_of(held).taken == 1


def test_a_hold_that_ran_out_goes_on_where_nobody_took_the_case(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    held = claim(queue, reviewer)
    claims.save_draft(claim=held, draft=DRAFT, now=timezone.now() + LATER)
    held.refresh_from_db()
    assert held.until > timezone.now() + LATER
    assert answer(held).state == Claim.State.ANSWERED


def test_an_expired_hold_is_taken_up_again(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    held = claim(queue, reviewer)
    other = claims.claim_next(queue=queue, reviewer=second, now=timezone.now() + LATER)
    assert other is not None
    with pytest.raises(Conflict, match="somebody else has it now"):
        claims.save_draft(claim=held, draft=DRAFT, now=timezone.now() + LATER)
    claims.release(claim=other, now=timezone.now() + LATER)
    claims.save_draft(claim=held, draft=DRAFT, now=timezone.now() + LATER)
    assert answer(held).state == Claim.State.ANSWERED
    assert case_of(held).taken == 1


def test_typing_prolongs_the_hold(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    held = claim(queue, reviewer)
    claims.save_draft(claim=held, draft=DRAFT, now=timezone.now() + timedelta(minutes=10))
    held.refresh_from_db()
    assert held.until > timezone.now() + timedelta(minutes=24)


# Drafts


def test_a_draft_is_there_after_a_lost_connection(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    claims.save_draft(claim=claim(queue, reviewer), draft=DRAFT, now=timezone.now())
    claims.save_draft(
        claim=claim(queue, reviewer), draft={"reason": "wrong-input"}, now=timezone.now()
    )
    assert claim(queue, reviewer).draft == DRAFT | {"reason": "wrong-input"}


@pytest.mark.parametrize(
    "draft",
    [
        "text",
        ["a"],
        {"other": 1},
        {"comment": "a\x00b"},
        {"comment": "\ud83d"},
        {"comment": "x" * 40_000},
    ],
)
def test_what_is_no_draft_is_refused(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, draft: Any
) -> None:
    with pytest.raises(Invalid, match="draft"):
        claims.save_draft(claim=claim(queue, reviewer), draft=draft, now=timezone.now())


def test_the_letters_that_name_a_nul_are_text(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    draft = {"comment": "\\u0000 and \\\\u0000"}
    claims.save_draft(claim=claim(queue, reviewer), draft=draft, now=timezone.now())
    assert claim(queue, reviewer).draft == draft


# Erasure


def test_an_erased_prediction_leaves_the_queue(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, operator: User
) -> None:
    held = claim(queue, reviewer)
    claims.save_draft(claim=held, draft=DRAFT, now=timezone.now())
    predictions.erase_prediction(
        prediction=waiting, reason="Asked for", by=operator.actor, now=timezone.now()
    )
    held.refresh_from_db()
    case = case_of(held)
    assert (case.state, case.causes, held.draft) == (ReviewCase.State.WITHDRAWN, [], {})
    assert nothing_for(queue, reviewer)
    with pytest.raises(Gone, match="erased"):
        claims.save_draft(claim=held, draft=DRAFT, now=timezone.now())
    with pytest.raises(Gone, match="erased"):
        answer(held)


# Counting


def test_progress_is_counted_for_the_reviewer(
    deployment: Deployment, operator: User, reviewer: User, second: User
) -> None:
    queue = make_queue(deployment, operator, double_share=1.0)
    write_request(deployment, [CASE] * 4)
    take_in(queue)
    answer(claim(queue, reviewer))
    answer(claim(queue, second), "disagree")
    claim(queue, reviewer)
    found = progress_of([queue], reviewer, now=timezone.now())[queue.id]
    assert (found.waiting, found.adjudicating, found.mine) == (3, 1, 1)
    assert (found.open_to_me, found.done, found.done_by_me) == (2, 0, 1)


def test_progress_costs_the_same_for_any_number_of_queues(
    deployment: Deployment, operator: User, reviewer: User
) -> None:
    queues = [make_queue(deployment, operator, name=f"Queue {n}") for n in range(3)]
    prediction_of(deployment)
    for queue in queues:
        take_in(queue)

    def queries(some: list[ReviewQueue]) -> int:
        with CaptureQueriesContext(connection) as seen:
            progress_of(some, reviewer, now=timezone.now())
        return len(seen)

    assert queries(queues) == queries(queues[:1])

"""Erasures, reviewers, the intake and the worker never wait for each other in a circle.

Each test holds a lock until the others wait, which makes the circle that there would be.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit import services as audit
from apps.audit.actor import SYSTEM
from apps.core.errors import Conflict
from apps.deployments.models import Deployment
from apps.feedback.authors import author_of
from apps.feedback.datasets import services as datasets
from apps.feedback.datasets.models import DataSetExport
from apps.feedback.datasets.settings import DataSetSettings
from apps.feedback.datasets.writing import write_dataset
from apps.feedback.models import Claim, ReviewCase, ReviewQueue
from apps.feedback.review import claims, intake
from apps.feedback.review.claims import Gone
from apps.feedback.review.requests import ask_for_review
from apps.feedback.services import Given, record_actuals
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.feedback.review.conftest import answer, make_queue, take_in
from tests.feedback.review.test_claims import at_once
from tests.predictions.factories import CASE, prediction_of, write_request

pytestmark = pytest.mark.django_db(transaction=True)

State = ReviewCase.State


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(4) as made:
        yield made


def begun(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> "Future[Any]":
    """`work` on a connection of its own, from when it waits for a lock or has ended."""
    before = _waiting()

    def run() -> Any:
        close_old_connections()
        try:
            return work()
        finally:
            connection.close()

    found = threads.submit(run)
    end = time.monotonic() + 20
    while not found.done() and _waiting() <= before:
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def _waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def erase(record: PredictionRecord) -> None:
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=SYSTEM, now=timezone.now()
    )


def hold_predictions() -> None:
    list(PredictionRecord.objects.select_for_update().order_by("id"))


def asked(queue: ReviewQueue, record: PredictionRecord, by: User) -> None:
    ask_for_review(
        queue=queue, prediction=record, reason="Why?", by=author_of(by), now=timezone.now()
    )


def test_an_erasure_and_the_intake_of_a_case_that_was_asked_for(
    queue: ReviewQueue, deployment: Deployment, operator: User, threads: ThreadPoolExecutor
) -> None:
    record = prediction_of(deployment)
    asked(queue, record, operator)
    with transaction.atomic():
        hold_predictions()
        taken = begun(threads, lambda: take_in(queue))
        erase(record)
    assert taken.result(30) == 1
    assert ReviewCase.objects.get().state == State.WITHDRAWN


def test_an_erasure_of_several_and_an_intake_in_several_blocks(
    queue: ReviewQueue,
    deployment: Deployment,
    operator: User,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "_BLOCK_ROWS", 1)
    first = prediction_of(deployment, p_bad=0.1, custom_ids=["A"])
    prediction_of(deployment, custom_ids=["A"])
    asked(queue, first, operator)
    with transaction.atomic():
        hold_predictions()
        taken = begun(threads, lambda: take_in(queue))
        predictions.erase_by_custom_id(
            deployment=deployment, custom_id="A", reason="Why", by=SYSTEM, now=timezone.now()
        )
    assert taken.result(30) == 2
    assert ReviewCase.objects.get().state == State.WITHDRAWN


def test_an_erasure_and_the_worker_that_finishes_a_data_set(
    deployment: Deployment,
    operator: User,
    threads: ThreadPoolExecutor,
    settings: Any,
    tmp_path: Any,
) -> None:
    settings.VAR_DIR = tmp_path
    record = prediction_of(deployment)
    rows = [Given("good", prediction_id=record.id)]
    now = timezone.now()
    record_actuals(deployment=deployment, rows=rows, by=author_of(operator), now=now)
    dataset = datasets.ask_for_dataset(
        deployment=deployment, settings=DataSetSettings(), by=operator.actor, now=now
    )
    with transaction.atomic():
        audit.record(name="test", by=SYSTEM, object_type="test", object_id="1", object_name="x")
        erased = begun(threads, lambda: erase(record))
        written = begun(threads, lambda: write_dataset(identifier=dataset.id, now=now))
    erased.result(30)
    written.result(30)
    dataset.refresh_from_db()
    assert dataset.state == DataSetExport.State.OUTDATED or dataset.rows == 0


def test_two_who_give_the_same_two_cases_back(
    deployment: Deployment,
    operator: User,
    reviewer: User,
    second: User,
    threads: ThreadPoolExecutor,
) -> None:
    queue = make_queue(deployment, operator, double_share=1.0)
    write_request(deployment, [CASE] * 2)
    take_in(queue)
    cases = list(ReviewCase.objects.order_by("id"))
    for reviewer_, order in ((reviewer, cases), (second, cases[::-1])):
        for case in order:
            times = {"at": timezone.now(), "until": timezone.now()}
            Claim.objects.create(case=case, reviewer=reviewer_, **times)
    ReviewCase.objects.update(taken=2)

    def give_back(user: User) -> int:
        return claims.release_all(queue=queue, reviewer=user, now=timezone.now())

    with transaction.atomic():
        list(ReviewCase.objects.select_for_update().order_by("id"))
        given = [begun(threads, lambda u=user: give_back(u)) for user in (reviewer, second)]
    assert [each.result(30) for each in given] == [2, 2]
    assert set(ReviewCase.objects.values_list("taken", flat=True)) == {0}


def test_reviewers_at_work_while_their_cases_are_erased(
    deployment: Deployment, operator: User, reviewers: Callable[[int], list[User]]
) -> None:
    """All they meet is that a case is gone."""
    queue = make_queue(deployment, operator, double_share=0.5)
    people = reviewers(3)
    write_request(deployment, [CASE] * 30)
    take_in(queue)
    records = list(PredictionRecord.objects.order_by("?"))

    def work(user: User | None) -> int:
        if user is None:
            for record in records[:20]:
                erase(record)
            return 20
        for met in range(100):
            held = claims.claim_next(queue=queue, reviewer=user, now=timezone.now())
            if held is None:
                break
            claims.next_after(claim=held, now=timezone.now())
            with suppress(Gone, Conflict):
                answer(held) if met % 3 else claims.skip(claim=held, now=timezone.now())
            if met % 5 == 0:
                claims.release_all(queue=queue, reviewer=user, now=timezone.now())
        return met

    at_once(work, [*people, None])
    states = ReviewCase.objects.filter(prediction_id__in=[each.id for each in records[:20]])
    assert set(states.values_list("state", flat=True)) == {State.WITHDRAWN}
    assert not Claim.objects.filter(state=Claim.State.HELD).exists()

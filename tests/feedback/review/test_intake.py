"""What enters a queue, with which chance, and that nothing is looked at twice or missed."""

from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Writer
from apps.deployments.models import Deployment
from apps.deployments.services import delete_deployment
from apps.feedback.authors import Author
from apps.feedback.models import ReviewCase, ReviewHour, ReviewProgress, ReviewQueue
from apps.feedback.review import intake, services
from apps.feedback.review.causes import Draws
from apps.feedback.review.requests import ask_for_review
from apps.feedback.review.selectors import queues_of
from apps.feedback.services import Given, record_actuals
from apps.feedback.statistics.proportions import stream_share
from apps.feedback.tasks import fill_queues
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.feedback.review.conftest import make_queue, take_in
from tests.predictions.factories import CASE, prediction_of, write_request

Z = 3.3  # two-sided, one in a thousand


def test_a_prediction_that_a_rule_takes_enters_for_certain(
    queue: ReviewQueue, deployment: Deployment
) -> None:
    record = prediction_of(deployment)
    prediction_of(deployment, p_bad=0.1)
    assert take_in(queue) == 2
    case = ReviewCase.objects.get()
    assert (case.prediction_id, case.is_certain, case.probability) == (record.id, True, 1)
    assert case.causes == [{"kind": "class", "words": "The model says bad"}]
    assert (case.is_of_stream, case.is_drawn, case.wanted) == (True, False, 1)


def test_what_was_there_before_the_queue_stays_out(deployment: Deployment, operator: User) -> None:
    prediction_of(deployment)
    queue = make_queue(deployment, operator)
    assert take_in(queue) == 0
    prediction_of(deployment)
    assert take_in(queue) == 1


def test_nothing_is_looked_at_twice(queue: ReviewQueue, deployment: Deployment) -> None:
    write_request(deployment, [CASE] * 5)
    assert [take_in(queue), take_in(queue)] == [5, 0]
    assert ReviewCase.objects.count() == 5


def test_a_writer_that_began_after_the_queue_is_looked_at_whole(
    queue: ReviewQueue, deployment: Deployment
) -> None:
    assert not Writer.objects.exists()
    prediction_of(deployment)
    assert take_in(queue) == 1
    progress = ReviewProgress.objects.get(queue=queue)
    assert (progress.first, progress.seal) == (0, 1)


def test_a_record_that_is_committed_late_is_not_missed(
    queue: ReviewQueue, deployment: Deployment
) -> None:
    late, early = prediction_of(deployment), prediction_of(deployment)
    assert late.id < early.id
    take_in(queue)
    spooled = prediction_of(deployment)
    old = PredictionRecord.objects.get(id=spooled.id)
    PredictionRecord.objects.filter(id=spooled.id).delete()
    old.id = type(old.id)(int=late.id.int - 1)
    old.save(force_insert=True)
    progress = ReviewProgress.objects.get(queue=queue)
    first = {"first_id": old.id}
    Writer.objects.get().seals.filter(number__gt=progress.seal).update(**first)
    assert take_in(queue) == 1
    assert ReviewCase.objects.filter(prediction_id=old.id).exists()


def test_chunks_are_bounded_and_go_on_where_they_stopped(
    queue: ReviewQueue, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_CHUNK_RECORDS", 3)
    monkeypatch.setattr(intake, "_BLOCK_ROWS", 2)
    for _ in range(4):
        write_request(deployment, [CASE] * 3)
    assert intake.take_in(queue=queue, now=timezone.now(), most=3) == 3
    assert intake.take_in(queue=queue, now=timezone.now(), most=100) == 9
    assert ReviewCase.objects.count() == 12


def test_a_chunk_that_dies_is_looked_at_again(
    queue: ReviewQueue, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction_of(deployment)

    def die(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(intake._Chunk, "keep_hours", die)
        with pytest.raises(RuntimeError):
            take_in(queue)
    assert not ReviewCase.objects.exists()
    assert take_in(queue) == 1


def test_predictions_of_other_deployments_stay_out(
    queue: ReviewQueue, deployment: Deployment
) -> None:
    record = prediction_of(deployment)
    PredictionRecord.objects.filter(id=record.id).update(deployment_id=queue.id)
    assert take_in(queue) == 0


def test_an_erased_prediction_never_enters(
    queue: ReviewQueue, deployment: Deployment, operator: User
) -> None:
    record = prediction_of(deployment)
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=operator.actor, now=timezone.now()
    )
    assert take_in(queue) == 0
    assert not ReviewCase.objects.exists()


def test_a_closed_queue_takes_nothing_and_does_not_catch_up(
    queue: ReviewQueue, deployment: Deployment, operator: User
) -> None:
    services.close_queue(queue=queue, by=operator.actor, now=timezone.now())
    prediction_of(deployment)
    assert take_in(queue) == 0
    services.open_queue(queue=queue, by=operator.actor, now=timezone.now())
    assert take_in(queue) == 0
    prediction_of(deployment)
    assert take_in(queue) == 1


def test_the_audit_slice_is_as_large_as_said(deployment: Deployment, operator: User) -> None:
    queue = make_queue(deployment, operator, rules=[], audit_probability=0.2)
    n = 2_000
    write_request(deployment, [CASE] * n)
    take_in(queue)
    drawn = ReviewCase.objects.count()
    assert abs(drawn / n - 0.2) < Z * sqrt(0.2 * 0.8 / n)
    kept = set(ReviewCase.objects.values_list("probability", "is_drawn", "is_certain"))
    assert kept == {(0.2, True, False)}
    hour = ReviewHour.objects.get()
    assert (hour.looked, hour.entered, hour.certain, hour.drawn) == (n, drawn, 0, drawn)


def test_the_draw_can_be_repeated_and_depends_on_the_key() -> None:
    ids = [PredictionRecord().id for _ in range(200)]
    one, same, other = Draws(b"a"), Draws(b"a"), Draws(b"b")
    taken = [one.takes("audit", each, 0.5) for each in ids]
    assert taken == [same.takes("audit", each, 0.5) for each in ids]
    assert taken != [other.takes("audit", each, 0.5) for each in ids]
    assert taken != [one.takes("double", each, 0.5) for each in ids]


def test_a_certain_case_says_whether_the_slice_drew_it_too(
    deployment: Deployment, operator: User
) -> None:
    queue = make_queue(deployment, operator, audit_probability=1.0)
    prediction_of(deployment)
    take_in(queue)
    case = ReviewCase.objects.get()
    assert (case.is_certain, case.is_drawn) == (True, True)
    assert (case.probability, case.slice_probability) == (1, 1)
    assert [cause["kind"] for cause in case.causes] == ["class", "audit"]


def test_a_case_keeps_the_chance_that_it_had(deployment: Deployment, operator: User) -> None:
    queue = make_queue(deployment, operator, rules=[], audit_probability=0.999)
    write_request(deployment, [CASE] * 3)
    take_in(queue)
    settings = services.QueueSettings(name="All", audit_probability=0.998)
    services.change_queue(queue=queue, settings=settings, by=operator.actor, now=timezone.now())
    write_request(deployment, [CASE] * 3)
    take_in(queue)
    chances = ReviewCase.objects.order_by("id").values_list("probability", flat=True)
    assert list(chances) == [0.999] * 3 + [0.998] * 3


def test_a_share_of_cases_wants_two_reviewers(deployment: Deployment, operator: User) -> None:
    queue = make_queue(deployment, operator, double_share=0.3)
    n = 1_000
    write_request(deployment, [CASE] * n)
    take_in(queue)
    both = ReviewCase.objects.filter(wanted=2).count()
    assert abs(both / n - 0.3) < Z * sqrt(0.3 * 0.7 / n)


def test_the_hours_are_those_of_the_predictions(queue: ReviewQueue, deployment: Deployment) -> None:
    prediction_of(deployment)
    take_in(queue)
    prediction_of(deployment)
    take_in(queue)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    assert sum(ReviewHour.objects.values_list("looked", flat=True)) == 2
    assert {hour.at for hour in ReviewHour.objects.all()} <= {now, now - timedelta(hours=1)}


def test_a_request_before_the_intake_counts_once(
    queue: ReviewQueue, deployment: Deployment, author: Author
) -> None:
    record = prediction_of(deployment)
    case = ask_for_review(
        queue=queue, prediction=record, reason="Wrong", by=author, now=timezone.now()
    )
    assert not case.is_of_stream
    assert take_in(queue) == 1
    case.refresh_from_db()
    assert case.is_of_stream
    assert [cause["kind"] for cause in case.causes] == ["request", "class"]
    assert ReviewHour.objects.get().certain == 1


def test_the_worker_fills_every_open_queue(
    queue: ReviewQueue, deployment: Deployment, operator: User
) -> None:
    make_queue(deployment, operator, name="Other")
    prediction_of(deployment)
    assert fill_queues() == 2
    assert ReviewCase.objects.count() == 2


def test_queues_that_have_seen_all_cost_one_query_together(
    queue: ReviewQueue, deployment: Deployment, operator: User, django_assert_num_queries: Any
) -> None:
    prediction_of(deployment)
    make_queue(deployment, operator, name="Other")
    assert fill_queues() == 1
    with django_assert_num_queries(1):
        assert fill_queues() == 0


def test_the_worker_leaves_deleted_deployments_alone(
    queue: ReviewQueue, deployment: Deployment, operator: User
) -> None:
    prediction_of(deployment)
    delete_deployment(deployment=deployment, by=operator.actor, now=timezone.now())
    assert fill_queues() == 0
    assert not queues_of(deployment.workspace).exists()


def test_a_queue_that_fails_does_not_stop_the_others(
    queue: ReviewQueue, deployment: Deployment, operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    make_queue(deployment, operator, name="Other")
    ReviewQueue.objects.filter(id=queue.id).update(rules=[{"kind": "no such rule"}])
    prediction_of(deployment)
    assert fill_queues() == 1
    assert str(queue.id) in caplog.text


def test_the_cost_of_a_chunk_does_not_grow_with_its_rows(
    queue: ReviewQueue, deployment: Deployment
) -> None:
    def queries(rows: int) -> int:
        write_request(deployment, [CASE] * rows)
        with CaptureQueriesContext(connection) as seen:
            take_in(queue)
        return len(seen)

    queries(1)
    assert queries(400) == queries(2)


def test_the_stored_chances_give_the_truth_where_the_plain_ratio_does_not(
    deployment: Deployment, operator: User
) -> None:
    """Unsure predictions are wrong more often, and all of them are in the queue."""
    rules = [{"kind": "confidence", "below": 0.6}]
    queue = make_queue(deployment, operator, rules=rules, audit_probability=0.2)
    random = np.random.default_rng(6)
    wrong: set[UUID] = set()
    for p_bad in np.linspace(0.51, 0.99, 40):
        request = write_request(deployment, [CASE] * 100, p_bad=float(p_bad))
        ids = request.predictions.values_list("id", flat=True)
        wrong |= {each for each in ids if random.uniform() > p_bad}
    take_in(queue)
    cases = ReviewCase.objects.of_stream()
    judged = [each in wrong for each in cases.values_list("prediction_id", flat=True)]
    chances = list(cases.values_list("probability", flat=True))
    looked = sum(ReviewHour.objects.values_list("looked", flat=True))
    found = stream_share(judged, chances, looked, confidence=0.999)
    truth = len(wrong) / looked
    assert looked == 4_000
    assert found.low < truth < found.high
    assert found.plain.low > truth


# Known errors


def test_known_errors_are_shown_again(
    deployment: Deployment, operator: User, author: Author
) -> None:
    wrong, right = prediction_of(deployment), prediction_of(deployment)
    rows = [Given("good", wrong.id), Given("bad", right.id)]
    record_actuals(deployment=deployment, rows=rows, by=author, now=timezone.now())
    queue = make_queue(deployment, operator, known_wrong_share=1.0)
    prediction_of(deployment)
    take_in(queue)
    seeded = ReviewCase.objects.get(is_seeded=True)
    assert (seeded.prediction_id, seeded.is_of_stream, seeded.causes) == (wrong.id, False, [])
    assert ReviewCase.objects.of_stream().count() == 1
    prediction_of(deployment)
    take_in(queue)
    assert ReviewCase.objects.filter(is_seeded=True).count() == 1

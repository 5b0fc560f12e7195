"""A case keeps what was answered in it; its reviewer's later correction is what data sets take."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.feedback import services as feedback
from apps.feedback.authors import author_of
from apps.feedback.counts import Counts, Period, counts_of
from apps.feedback.datasets.rows import labelled_rows
from apps.feedback.datasets.settings import DataSetSettings
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewQueue
from apps.feedback.review.selectors import correction_of, find_claim
from apps.feedback.selectors import own_evaluation
from apps.feedback.services import Judgement
from apps.predictions.models import PredictionRecord
from tests.feedback.conftest import Caller
from tests.feedback.review.conftest import answer, case_of, claim, make_queue, take_in, undo
from tests.predictions.factories import prediction_of

LATER = timedelta(minutes=1)


def own(record: PredictionRecord, reviewer: User) -> Evaluation:
    found = own_evaluation(record, author_of(reviewer))
    assert found is not None
    return found


def counted(deployment: Deployment) -> Counts:
    now, day = timezone.now(), timedelta(days=1)
    return counts_of(deployment, Period(now - day, now + day), now=now)


def correct(record: PredictionRecord, reviewer: User, *said: Any) -> Evaluation:
    return feedback.correct_evaluation(
        evaluation=own(record, reviewer),
        prediction=record,
        judgement=Judgement(*said),
        by=author_of(reviewer),
        now=timezone.now() + LATER,
    )


def withdraw(record: PredictionRecord, reviewer: User) -> None:
    feedback.withdraw_evaluation(
        evaluation=own(record, reviewer),
        prediction=record,
        by=author_of(reviewer),
        now=timezone.now() + LATER,
    )


def again(held: Claim) -> Claim:
    return find_claim(held.case.queue, held.id, held.reviewer)


@pytest.fixture
def double(deployment: Deployment, operator: User) -> ReviewQueue:
    return make_queue(deployment, operator, double_share=1.0)


def test_the_answer_stays_and_the_correction_stands_beside_it(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    held = answer(claim(queue, reviewer), "agree")
    assert correction_of(again(held)) is None
    made = correct(waiting, reviewer, "disagree", "good")
    held = again(held)
    assert (held.verdict, held.outcome, held.evaluation) == ("agree", None, made)
    assert correction_of(held) == made
    assert case_of(held).state == ReviewCase.State.DONE


def test_the_label_is_the_correction_and_the_estimate_the_answer(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, deployment: Deployment
) -> None:
    answer(claim(queue, reviewer), "agree")
    correct(waiting, reviewer, "disagree", "good")
    with labelled_rows(deployment, DataSetSettings()) as pages:
        [[row]] = list(pages)
    assert row.label == "good"
    counts = counted(deployment)
    assert [(each.disagreed, each.count) for each in counts.in_queue] == [(False, 1)]
    assert [each.verdict for each in counts.answered] == ["agree"]


def test_two_who_differed_still_go_to_a_third(
    double: ReviewQueue, deployment: Deployment, reviewer: User, second: User, third: User
) -> None:
    record = prediction_of(deployment)
    take_in(double)
    answer(claim(double, reviewer), "agree")
    answer(claim(double, second), "disagree", desired_output="good")
    correct(record, reviewer, "disagree", "good")
    held = claim(double, third)
    assert held.is_adjudication
    shown = Caller(deployment, user=third).call("GET", f"reviewQueues/{double.id}/cases/{held.id}")[
        1
    ]
    [first] = [each for each in shown["others"] if each["reviewer"] == str(reviewer)]
    assert (first["verdict"], first["correction"]["verdict"]) == ("agree", "disagree")
    assert first["correction"]["desiredClass"] == "good"


def test_a_decision_stays_one_when_it_is_corrected(
    double: ReviewQueue, deployment: Deployment, reviewer: User, second: User, third: User
) -> None:
    """It must not count among the independent judgements that are compared."""
    record = prediction_of(deployment)
    take_in(double)
    answer(claim(double, reviewer), "agree")
    answer(claim(double, second), "disagree", desired_output="good")
    answer(claim(double, third), "agree")
    correct(record, third, "disagree", "good")
    [pattern] = counted(deployment).patterns
    assert len(pattern.said) == 2


def test_agreement_is_that_of_the_answers(
    double: ReviewQueue, deployment: Deployment, reviewer: User, second: User
) -> None:
    record = prediction_of(deployment)
    take_in(double)
    answer(claim(double, reviewer), "agree")
    answer(claim(double, second), "agree")
    correct(record, reviewer, "disagree", "good")
    [pattern] = counted(deployment).patterns
    assert len(pattern.said) == 2
    assert len({label for _, label in pattern.said}) == 1


def test_a_withdrawal_is_told_and_leaves_the_answer(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    held = answer(claim(queue, reviewer), "agree")
    withdraw(waiting, reviewer)
    found = correction_of(again(held))
    assert found is not None
    assert (found.verdict, again(held).verdict) == ("withdrawn", "agree")


@pytest.mark.parametrize("change", ["correct", "withdraw"])
def test_an_answer_that_was_changed_since_can_still_be_undone(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, change: str
) -> None:
    ended = answer(claim(queue, reviewer), "agree")
    if change == "correct":
        correct(waiting, reviewer, "disagree", "good")
    else:
        withdraw(waiting, reviewer)
    held = undo(ended)
    assert (held.state, held.evaluation) == ("held", None)
    assert own_evaluation(waiting, author_of(reviewer)) is None
    assert answer(again(held), "unsure").verdict == "unsure"

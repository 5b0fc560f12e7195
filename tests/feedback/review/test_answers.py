"""What comes of a case: judgement, blind first answer, two reviewers, a third, and undo."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Deployment
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewQueue
from apps.feedback.review import answers, claims
from apps.feedback.review.selectors import last_ended, shown
from apps.feedback.services import Given, Judgement, record_actuals
from apps.feedback.verification import faults
from apps.predictions.models import PredictionRecord
from tests.feedback.review.conftest import (
    answer,
    case_of,
    claim,
    make_queue,
    nothing_for,
    take_in,
    undo,
)
from tests.predictions.factories import CASE, prediction_of, write_request

State = ReviewCase.State
GOOD = {"predictions": ["good"]}


@pytest.fixture
def double(deployment: Deployment, operator: User) -> ReviewQueue:
    """One case, that two people judge."""
    queue = make_queue(deployment, operator, double_share=1.0)
    prediction_of(deployment)
    take_in(queue)
    return queue


@pytest.fixture
def blind(deployment: Deployment, operator: User) -> ReviewQueue:
    queue = make_queue(deployment, operator, mode="blind")
    prediction_of(deployment)
    take_in(queue)
    return queue


def reveal(held: Claim, first: Any = "good") -> Claim:
    return answers.reveal(
        claim=held, first_answer=first, by=author_of(held.reviewer), now=timezone.now()
    )


# Judging


def test_an_answer_is_an_evaluation_that_says_what_was_seen(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    shap = {"name": "shap", "id": None}
    said = {"desired_output": GOOD, "comment": "No", "reason": "wrong-input", "spent_ms": 5200}
    ended = answer(claim(queue, reviewer), "disagree", seen={"explanations": [shap]}, **said)
    made = Evaluation.objects.get()
    assert (made.prediction_id, made.verdict, made.desired_outcome) == (
        waiting.id,
        "disagree",
        "good",
    )
    assert (made.comment, made.reason, made.spent_ms) == ("No", "wrong-input", 5200)
    assert made.seen_value == {
        "mode": "assisted",
        "explanations": [shap],
        "claim": str(ended.id),
    }
    assert (ended.state, ended.verdict, ended.outcome) == ("answered", "disagree", "good")
    assert case_of(ended).state == State.DONE
    assert list(faults()) == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"verdict": "fine"}, "one of agree"),
        ({"verdict": "disagree", "desired_output": "ugly"}, "its classes are good, bad"),
        ({"verdict": "agree", "comment": "x" * 10_001}, "at most 10,000 characters"),
        ({"verdict": "agree", "reason": "mood"}, "Choose one of wrong-input"),
        ({"verdict": "agree", "spent_ms": -1}, "time spent"),
    ],
)
def test_a_bad_answer_is_refused_and_the_case_stays(
    queue: ReviewQueue,
    waiting: PredictionRecord,
    reviewer: User,
    said: dict[str, Any],
    words: str,
) -> None:
    held = claim(queue, reviewer)
    with pytest.raises(Invalid, match=words) as refused:
        answer(held, **said)
    assert refused.value.errors[0]["field"]
    assert claim(queue, reviewer) == held
    assert not Evaluation.objects.exists()


def test_nobody_answers_for_another(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    held = claim(queue, reviewer)
    with pytest.raises(PermissionDenied):
        answers.answer(
            claim=held,
            judgement=Judgement("agree"),
            by=author_of(second),
            now=timezone.now(),
        )


def test_an_answer_is_given_once(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    held = answer(claim(queue, reviewer))
    with pytest.raises(Conflict, match="already"):
        answer(held)


# Blind


def test_the_first_answer_comes_before_the_output(blind: ReviewQueue, reviewer: User) -> None:
    held = claim(blind, reviewer)
    assert (shown(held).shows_output, shown(held).causes) == (False, [])
    with pytest.raises(Conflict, match="own answer first"):
        answer(held)
    held = reveal(held)
    assert shown(held).shows_output
    assert shown(held).causes != []
    answer(held, "disagree", desired_output=GOOD)
    seen = Evaluation.objects.get().seen_value
    assert (seen["mode"], seen["first"]["outcome"]) == ("blind", "good")


@pytest.mark.parametrize("first", [None, "ugly", {"predictions": []}])
def test_the_first_answer_is_one_that_the_model_could_give(
    blind: ReviewQueue, reviewer: User, first: Any
) -> None:
    held = claim(blind, reviewer)
    with pytest.raises(Invalid):
        reveal(held, first)
    assert not shown(held).shows_output


def test_the_first_answer_stays(blind: ReviewQueue, reviewer: User) -> None:
    held = reveal(claim(blind, reviewer))
    with pytest.raises(Conflict, match="cannot be changed"):
        reveal(held, "bad")


def test_the_first_answer_outlives_the_hold(blind: ReviewQueue, reviewer: User) -> None:
    claims.release(claim=reveal(claim(blind, reviewer)), now=timezone.now())
    again = claim(blind, reviewer)
    assert (again.first_answer or {})["outcome"] == "good"
    assert shown(again).shows_output


def test_an_assisted_queue_has_nothing_to_reveal(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    with pytest.raises(Conflict, match="from the start"):
        reveal(claim(queue, reviewer))


# Two reviewers, and a third


def test_two_who_agree_close_the_case(double: ReviewQueue, reviewer: User, second: User) -> None:
    first = answer(claim(double, reviewer))
    assert case_of(first).state == State.WAITING
    answer(claim(double, second))
    assert case_of(first).state == State.DONE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("agree", None), ("disagree", "good")),
        (("agree", None), ("unsure", None)),
        (("unsure", None), ("unsure", None)),
    ],
)
def test_a_third_decides_between_two_who_differ(
    double: ReviewQueue, reviewer: User, second: User, third: User, one: Any, other: Any
) -> None:
    first = answer(claim(double, reviewer), one[0], desired_output=one[1])
    answer(claim(double, second), other[0], desired_output=other[1])
    assert case_of(first).state == State.ADJUDICATION
    assert nothing_for(double, reviewer)
    assert nothing_for(double, second)
    held = claim(double, third)
    assert held.is_adjudication
    assert {each.reviewer for each in shown(held).others} == {reviewer, second}
    answer(held, "disagree", desired_output="good")
    assert case_of(first).state == State.DONE
    made = Evaluation.objects.get(author_id=str(third.id))
    assert made.seen_value["adjudicates"] is True


def test_one_who_is_unsure_alone_closes_the_case(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    assert case_of(answer(claim(queue, reviewer), "unsure")).state == State.DONE


# Undo


def test_undo_withdraws_and_gives_the_answer_back_as_a_draft(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    ended = answer(claim(queue, reviewer), "disagree", comment="No", desired_output="good")
    assert last_ended(queue, reviewer) == ended
    held = undo(ended)
    assert (held.state, held.evaluation, case_of(held).state) == ("held", None, State.WAITING)
    assert (held.draft["comment"], held.draft["desiredOutput"]) == ("No", "good")
    answer(claim(queue, reviewer))
    verdicts = Evaluation.objects.order_by("id").values_list("verdict", flat=True)
    assert list(verdicts) == ["disagree", "withdrawn", "agree"]
    assert case_of(held).state == State.DONE
    assert list(faults()) == []


def test_a_skip_is_undone(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    skipped = claims.skip(claim=claim(queue, reviewer), now=timezone.now())
    assert undo(skipped).state == "held"
    assert nothing_for(queue, second)


def test_a_skip_is_not_undone_when_somebody_took_the_case(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User, second: User
) -> None:
    skipped = claims.skip(claim=claim(queue, reviewer), now=timezone.now())
    claim(queue, second)
    with pytest.raises(Conflict, match="Somebody else"):
        undo(skipped)


def test_only_the_last_answer_is_undone(
    queue: ReviewQueue, deployment: Deployment, reviewer: User
) -> None:
    write_request(deployment, [CASE] * 2)
    take_in(queue)
    first = answer(claim(queue, reviewer))
    answer(claim(queue, reviewer))
    with pytest.raises(Conflict, match="later one"):
        undo(first)


def test_an_old_answer_is_not_undone(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    ended = answer(claim(queue, reviewer))
    with pytest.raises(Conflict, match="10 minutes"):
        answers.undo(
            claim=ended, by=author_of(reviewer), now=timezone.now() + timedelta(minutes=11)
        )


def test_undo_takes_a_case_out_of_adjudication(
    double: ReviewQueue, reviewer: User, second: User
) -> None:
    answer(claim(double, reviewer))
    held = undo(answer(claim(double, second), "disagree"))
    case = case_of(held)
    assert (case.state, case.wanted, case.taken) == (State.WAITING, 2, 2)
    answer(held)
    assert case_of(held).state == State.DONE


def test_undo_waits_for_nobody_who_decides_already(
    double: ReviewQueue, reviewer: User, second: User, third: User
) -> None:
    answer(claim(double, reviewer))
    ended = answer(claim(double, second), "disagree")
    claim(double, third)
    with pytest.raises(Conflict, match="decides between"):
        undo(ended)


def test_a_decision_is_undone(
    double: ReviewQueue, reviewer: User, second: User, third: User
) -> None:
    answer(claim(double, reviewer))
    answer(claim(double, second), "disagree")
    held = undo(answer(claim(double, third)))
    assert (case_of(held).state, case_of(held).wanted) == (State.ADJUDICATION, 3)
    assert answer(held).is_adjudication
    assert case_of(held).state == State.DONE


def test_a_held_case_has_nothing_to_undo(
    queue: ReviewQueue, waiting: PredictionRecord, reviewer: User
) -> None:
    with pytest.raises(Conflict, match="nothing to undo"):
        undo(claim(queue, reviewer))


# Known errors


def test_the_answer_to_a_known_error_is_no_evaluation(
    deployment: Deployment, operator: User, reviewer: User
) -> None:
    wrong = prediction_of(deployment)
    rows = [Given("good", wrong.id)]
    record_actuals(deployment=deployment, rows=rows, by=author_of(operator), now=timezone.now())
    queue = make_queue(deployment, operator, rules=[], audit_probability=1.0, known_wrong_share=1)
    prediction_of(deployment)
    take_in(queue)
    events = Event.objects.count()
    ReviewCase.objects.filter(is_seeded=False).update(priority=0)
    ended = answer(claim(queue, reviewer), "disagree", desired_output="good", comment="Missed")
    assert (case_of(ended).is_seeded, ended.verdict, ended.outcome) == (True, "disagree", "good")
    assert (ended.evaluation, ended.draft["comment"]) == (None, "Missed")
    assert not Evaluation.objects.exists()
    assert Event.objects.count() == events
    assert undo(ended).state == "held"

"""What the figures of feedback say, against counts made by hand."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.core.ids import uuid7
from apps.deployments.models import Component
from apps.feedback.models import Claim, ReviewCase
from apps.feedback.statistics.agreement import cohen_kappa
from apps.feedback.statistics.proportions import stream_share, wilson
from apps.monitoring.feedback.charts import charts_of, trust_words
from apps.monitoring.feedback.figures import Figures, feedback_of
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.monitoring.feedback.conftest import Feedback


def figures(feedback: Feedback, days: int = 30) -> Figures:
    return feedback_of(feedback.deployment, days=days, now=timezone.now())


def test_nothing_said_is_empty(feedback: Feedback) -> None:
    found = figures(feedback)
    assert found.is_empty
    assert (found.disagreement.value, found.fleiss.value, found.accuracy.value) == (None,) * 3


def test_ratio_coverage_and_overrides_are_counted(
    feedback: Feedback, reviewer: User, owner: User
) -> None:
    one, two, three = (feedback.predicted() for _ in range(3))
    feedback.judged(one, "agree", reviewer)
    feedback.judged(two, "disagree", reviewer, "good")
    feedback.judged(two, "disagree", owner)
    feedback.judged(three, "unsure", reviewer)
    feedback.counted(20)
    found = figures(feedback)
    assert found.disagreement == wilson(2, 3)
    assert found.overrides == wilson(1, 3)
    assert (found.coverage, found.predictions) == (wilson(3, 20), 20)
    assert found.unsure == 1
    [point] = found.points
    assert point.share == wilson(2, 3)
    assert point.at.date() == one.at.date()


def test_classes_stand_apart(feedback: Feedback, reviewer: User) -> None:
    for outcome, verdict in (("bad", "agree"), ("bad", "disagree"), ("good", "agree")):
        feedback.judged(feedback.predicted(outcome), verdict, reviewer)
    found = {each.name: each.share for each in figures(feedback).groups}
    assert found == {"bad": wilson(1, 2), "good": wilson(0, 1)}


def test_numbers_are_grouped_by_quantiles_of_all_predictions(
    feedback: Feedback, reviewer: User
) -> None:
    version = Component.objects.get(revision__deployment=feedback.deployment).model_version
    assert version is not None
    version.metadata = {"problemType": "regression"}
    version.save()
    for number, verdict in (("-8", "agree"), ("10", "disagree"), ("1e3", "disagree")):
        record = feedback.predicted()
        PredictionRecord.objects.filter(id=record.id).update(outcome=number, output=number)
        record.refresh_from_db()
        feedback.judged(record, verdict, reviewer)
    amounts = {"-1045": 5, "1050": 5, "1078": 5, "1104": 5}
    feedback.counted(20, amounts)
    groups = figures(feedback).groups
    assert len(groups) == 4
    assert sum(each.share.n for each in groups) == 3
    assert (groups[0].share, groups[-1].share) == (wilson(0, 1), wilson(1, 1))


def test_the_weighted_estimate_is_that_of_the_stream(feedback: Feedback, reviewer: User) -> None:
    queue = feedback.queue(reviewer, looked=100)
    for verdict, probability in (
        [("disagree", 1.0)] * 3 + [("agree", 0.1)] * 8 + [("disagree", 0.1)]
    ):
        feedback.answered(queue, feedback.predicted(), verdict, reviewer, probability=probability)
    [stream] = figures(feedback).streams
    expected = stream_share([1, 1, 1, *[0] * 8, 1], [1.0] * 3 + [0.1] * 9, 100)
    assert stream.share.plain == expected.plain
    assert stream.share.value == pytest.approx(expected.value)
    assert (stream.share.low, stream.share.high) == pytest.approx((expected.low, expected.high))
    assert stream.share.value is not None
    assert stream.share.value < 0.5 * (stream.share.plain.value or 0)


def test_the_words_say_which_ratio_to_trust(feedback: Feedback, reviewer: User) -> None:
    feedback.judged(feedback.predicted(), "agree", reviewer)
    assert "audit slice would tell" in trust_words(figures(feedback))
    queue = feedback.queue(reviewer, looked=10)
    feedback.answered(queue, feedback.predicted(), "agree", reviewer)
    assert "No case of the random audit slice" in trust_words(figures(feedback))
    feedback.answered(queue, feedback.predicted(), "agree", reviewer, probability=0.2)
    assert "trust the weighted estimate" in trust_words(figures(feedback))


def test_kappas_are_those_of_the_labels(feedback: Feedback, reviewer: User, owner: User) -> None:
    said = [("agree", "agree"), ("disagree", "agree"), ("disagree", "disagree")] * 2
    for outcome, (one, other) in zip(["bad", "good"] * 3, said, strict=True):
        record = feedback.predicted(outcome)
        right = "good" if outcome == "bad" else "bad"
        feedback.judged(record, one, reviewer, right if one == "disagree" else None)
        feedback.judged(record, other, owner, right if other == "disagree" else None)
    found = figures(feedback)
    [pair] = found.pairs
    first = ["bad", "bad", "good", "good", "good", "bad"]
    second = ["bad", "good", "good", "good", "bad", "bad"]
    classes = ["bad", "good"]
    expected = (cohen_kappa(first, second, classes), cohen_kappa(second, first, classes))
    assert pair.kappa.value in (pytest.approx(each.value) for each in expected)
    assert (pair.kappa.n, found.fleiss.n) == (6, 6)


def test_an_adjudication_is_no_independent_judgement(
    feedback: Feedback, reviewer: User, owner: User
) -> None:
    record, queue = feedback.predicted(), feedback.queue(owner, 10)
    feedback.judged(record, "agree", reviewer)
    evaluation = feedback.judged(record, "disagree", owner, "good")
    feedback.answered(queue, record, "disagree", owner, is_adjudication=True, evaluation=evaluation)
    found = figures(feedback)
    assert (found.pairs, found.fleiss.n) == ([], 0)


def test_blind_answers_stand_beside_assisted_ones(feedback: Feedback, reviewer: User) -> None:
    assisted = feedback.queue(reviewer, 10)
    blind = feedback.queue(reviewer, 10, "Blind", "blind")
    for verdict in ("agree", "agree", "disagree"):
        feedback.answered(assisted, feedback.predicted(), verdict, reviewer)
    for first, verdict in (("bad", "agree"), ("good", "agree"), ("good", "disagree")):
        answer: Any = {"desiredOutput": first, "outcome": first}
        feedback.answered(blind, feedback.predicted(), verdict, reviewer, first_answer=answer)
    found = figures(feedback)
    assert found.assisted.first == wilson(2, 3)
    assert found.assisted.second == wilson(1, 3)
    assert found.revealed.differed == wilson(2, 3)
    assert found.revealed.moved == wilson(1, 2)


def test_known_errors_that_were_found(feedback: Feedback, reviewer: User) -> None:
    queue = feedback.queue(reviewer, 10)
    for verdict in ("agree", "disagree", "disagree"):
        feedback.answered(queue, feedback.predicted(), verdict, reviewer, seeded=True)
    found = figures(feedback)
    assert found.seeded == wilson(2, 3)
    assert found.streams[0].share.plain.n == 0


def test_who_is_fast_and_always_agrees_is_warned_of(
    feedback: Feedback, reviewer: User, owner: User, operator: User
) -> None:
    queue, now = feedback.queue(owner, 1000), timezone.now()
    given = [(reviewer, "agree", 900)] * 40
    given += [(o, v, 20_000) for o in (owner, operator) for v in ("agree", "disagree") * 20]
    chance = {"probability": 1, "slice_probability": 1}
    cases = [ReviewCase(queue=queue, prediction_id=uuid7(), at=now, **chance) for _ in given]
    ReviewCase.objects.bulk_create(cases)
    Claim.objects.bulk_create(
        Claim(case=case, reviewer=who, at=now, until=now, state="answered", verdict=v, spent_ms=ms)
        for case, (who, v, ms) in zip(cases, given, strict=True)
    )
    found = figures(feedback)
    assert found.warned == 1
    [warned] = [each for each in found.paces if each.is_suspicious]
    assert (warned.reviewer, warned.n) == ("Reviewer", 40)


def test_what_waits_counts_in_the_turnaround(feedback: Feedback, reviewer: User) -> None:
    queue = feedback.queue(reviewer, 10)
    for minutes in (1, 2, 3):
        waited = timedelta(minutes=minutes)
        feedback.answered(queue, feedback.predicted(), "agree", reviewer, waited=waited)
    ReviewCase.objects.create(
        queue=queue,
        prediction_id=feedback.predicted().id,
        at=timezone.now() - timedelta(hours=1),
        probability=0.1,
        slice_probability=0.1,
    )
    found = figures(feedback).turnaround
    assert (found.judged, found.waiting) == (3, 1)
    assert found.seconds == (120, None)


def test_accuracy_is_the_share_that_actuals_confirm(feedback: Feedback, operator: User) -> None:
    for value in ("bad", "bad", "good"):
        feedback.turned_out(feedback.predicted(), value, operator)
    found = figures(feedback)
    assert (found.accuracy.n, found.accuracy.value) == (3, pytest.approx(2 / 3))
    assert [each.n for each in found.accuracies] == [3]


def test_erased_and_older_predictions_do_not_count(
    feedback: Feedback, reviewer: User, owner: User
) -> None:
    erased = feedback.predicted()
    feedback.judged(erased, "disagree", reviewer)
    feedback.turned_out(erased, "good", owner)
    predictions.erase_prediction(
        prediction=erased, reason="Asked", by=owner.actor, now=timezone.now()
    )
    feedback.judged(feedback.predicted(), "agree", reviewer)
    assert figures(feedback).disagreement == wilson(0, 1)
    assert figures(feedback).accuracy.n == 0
    later = timezone.now() + timedelta(days=40)
    assert feedback_of(feedback.deployment, days=30, now=later).is_empty


def test_every_chart_has_words_and_a_table(feedback: Feedback, reviewer: User) -> None:
    feedback.judged(feedback.predicted(), "disagree", reviewer)
    charts = charts_of(figures(feedback), shows_people=True)
    assert set(charts) == {"time", "groups", "queues", "accuracy", "reviewers", "pairs"}
    assert "lowest 100.0\u00a0% in" in charts["time"].words
    heads, rows = charts["groups"].table()
    assert heads == ["Class", "Disagreement", "95 % from", "to", "Cases"]
    assert rows[0][:2] == ["bad", 1.0]

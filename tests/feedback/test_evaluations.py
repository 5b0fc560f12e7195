"""Judging predictions: by whom, how often, and what stays of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.audit.models import Event
from apps.audit.verification import verify_events
from apps.core.errors import Conflict, Invalid
from apps.feedback import services
from apps.feedback.authors import Author
from apps.feedback.models import Evaluation
from apps.feedback.services import Judgement
from apps.feedback.services.evaluations import Erased
from apps.feedback.verification import faults
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord

DISAGREES = Judgement("disagree", {"predictions": ["good"]}, "Income was misread", "wrong-input")


def evaluate(record: PredictionRecord, by: Author, judgement: Judgement = DISAGREES) -> Evaluation:
    return services.evaluate_prediction(
        prediction=record, judgement=judgement, by=by, now=timezone.now()
    )


def correct(found: Evaluation, record: PredictionRecord, by: Author, **said: Any) -> Evaluation:
    return services.correct_evaluation(
        evaluation=found,
        prediction=record,
        judgement=Judgement(**said),
        by=by,
        now=timezone.now() + timedelta(seconds=1),
    )


def erase(record: PredictionRecord, by: Author) -> None:
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=by.actor, now=timezone.now()
    )


def test_an_evaluation_is_kept_with_an_event_that_binds_it(
    record: PredictionRecord, author: Author
) -> None:
    seen = {"mode": "assisted", "explanations": [{"name": "shap", "id": None}]}
    judgement = Judgement("disagree", {"predictions": [0]}, "No", "wrong-input", seen, 5200)
    made = evaluate(record, author, judgement)
    made.refresh_from_db()
    assert (made.desired_value, made.desired_outcome) == (0, "good")
    assert (made.seen_value, made.spent_ms) == (seen, 5200)
    assert (made.author_kind, made.author_name) == ("user", "Reviewer")
    event = Event.objects.get(name="evaluation.given")
    assert bytes(made.digest).hex() in (event.data or "")
    assert "misread" not in (event.data or "")
    assert list(faults()) == []


def test_what_was_predicted_is_kept_beside_what_is_said(
    record: PredictionRecord, author: Author
) -> None:
    first = evaluate(record, author)
    second = correct(first, record, author, verdict="agree")
    services.withdraw_evaluation(
        evaluation=second, prediction=record, by=author, now=timezone.now()
    )
    kept = Evaluation.objects.values_list("predicted_at", "predicted_outcome")
    assert list(kept) == [(record.at, "bad")] * 3


def test_an_author_evaluates_once_and_others_may_too(
    record: PredictionRecord, author: Author, other_author: Author
) -> None:
    evaluate(record, author)
    with pytest.raises(Conflict, match="already"):
        evaluate(record, author, Judgement("agree"))
    evaluate(record, other_author, Judgement("agree"))
    assert Evaluation.objects.standing().count() == 2


def test_the_database_holds_one_current_evaluation_per_author(
    record: PredictionRecord, author: Author
) -> None:
    made = evaluate(record, author)
    made.pk = None
    made.id = Evaluation().id
    with pytest.raises(IntegrityError), transaction.atomic():
        made.save(force_insert=True)


def test_a_correction_keeps_what_was_said_before(record: PredictionRecord, author: Author) -> None:
    first = evaluate(record, author)
    second = correct(first, record, author, verdict="agree")
    assert second.supersedes == first
    assert [e.verdict for e in Evaluation.objects.order_by("id")] == ["disagree", "agree"]
    assert Evaluation.objects.standing().get() == second
    assert Event.objects.filter(name="evaluation.corrected").count() == 1
    with pytest.raises(Conflict, match="meanwhile"):
        correct(first, record, author, verdict="unsure")
    assert list(faults()) == []


def test_a_withdrawn_evaluation_may_be_given_again(
    record: PredictionRecord, author: Author
) -> None:
    first = evaluate(record, author)
    services.withdraw_evaluation(evaluation=first, prediction=record, by=author, now=timezone.now())
    assert not Evaluation.objects.standing().exists()
    again = evaluate(record, author, Judgement("unsure"))
    assert [e.verdict for e in Evaluation.objects.order_by("id")] == [
        "disagree",
        "withdrawn",
        "unsure",
    ]
    assert Evaluation.objects.standing().get() == again
    assert list(faults()) == []


def test_nobody_corrects_what_another_said(
    record: PredictionRecord, author: Author, other_author: Author
) -> None:
    made = evaluate(record, author)
    with pytest.raises(PermissionDenied):
        correct(made, record, other_author, verdict="agree")


@pytest.mark.parametrize(
    ("said", "field", "words"),
    [
        ({"verdict": "maybe"}, "verdict", "agree, disagree, unsure"),
        ({"verdict": "withdrawn"}, "verdict", "agree, disagree, unsure"),
        ({"verdict": "agree", "comment": "x" * 10_001}, "comment", "at most 10,000 characters"),
        ({"verdict": "agree", "reason": "Two words"}, "reason", "key"),
        ({"verdict": "agree", "spent_ms": -1}, "spentMs", "between"),
        ({"verdict": "disagree", "desired_output": "ugly"}, "desiredOutput", "is no class"),
    ],
)
def test_a_judgement_that_does_not_fit_is_told_why(
    record: PredictionRecord, author: Author, said: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        evaluate(record, author, Judgement(**said))
    assert refused.value.errors[0]["field"] == field
    assert not Evaluation.objects.exists()


def test_an_erasure_takes_what_was_said_and_leaves_the_digest(
    record: PredictionRecord, author: Author
) -> None:
    first = evaluate(record, author)
    correct(first, record, author, verdict="unsure", comment="Hm")
    erase(record, author)
    for entry in Evaluation.objects.all():
        kept = (entry.verdict, entry.desired_output, entry.comment, entry.seen, entry.salt)
        assert (*kept, entry.predicted_outcome) == (None,) * 6
        assert len(bytes(entry.digest)) == 32
    assert list(faults()) == []
    assert list(verify_events()) == []
    with pytest.raises(Erased, match="was erased"):
        evaluate(record, author, Judgement("agree"))
    with pytest.raises(Erased):
        correct(Evaluation.objects.get(is_current=True), record, author, verdict="agree")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": "agree"}, "its content is not what was given"),
        ({"comment": "Fine"}, "its content is not what was given"),
        ({"digest": b"x" * 32}, "no event says that it was given so"),
        ({"is_current": False}, "said to be superseded"),
        ({"predicted_outcome": "good"}, "not what the log says"),
        ({"predicted_at": None}, "not what the log says"),
        ({"salt": None}, "its salt is gone"),
        (
            {"verdict": None, "comment": None, "salt": None, "erased_at": timezone.now()},
            "it was erased, but",
        ),
    ],
)
def test_an_edit_is_found(
    record: PredictionRecord, author: Author, change: dict[str, Any], words: str
) -> None:
    made = evaluate(record, author)
    Evaluation.objects.filter(id=made.id).update(**change)
    assert any(words in problem.message for problem in faults())


def test_a_removed_evaluation_is_missed(record: PredictionRecord, author: Author) -> None:
    made = evaluate(record, author)
    Evaluation.objects.all().delete()
    assert [problem.place for problem in faults()] == [f"evaluation {made.id}"]


def test_verify_walks_evaluations_and_names_an_edit(
    record: PredictionRecord, author: Author, capsys: pytest.CaptureFixture[str]
) -> None:
    made = evaluate(record, author)
    call_command("verify")
    assert "1 evaluations: intact" in capsys.readouterr().out
    Evaluation.objects.filter(id=made.id).update(verdict="agree")
    with pytest.raises(CommandError, match=f"evaluation {made.id}"):
        call_command("verify")

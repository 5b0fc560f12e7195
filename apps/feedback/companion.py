"""Feedback beside the log: its filters, and what stands with each prediction."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from apps.accounts.access import can
from apps.accounts.models import User
from apps.core.query import Filter
from apps.deployments.models import Deployment
from apps.feedback.models import Actual, Evaluation
from apps.feedback.review.blind import hidden_from
from apps.feedback.selectors import Feedback, feedback_on
from apps.feedback.serializers import actual_out, evaluation_out
from apps.predictions.companion import Cell, Choice, Companion, Withheld
from apps.predictions.models import PredictionRecord

_VERDICTS = {"agreed": "agree", "disagreed": "disagree", "unsure": "unsure"}
_KINDS = {"agree": "good", "disagree": "bad", "unsure": "warn"}
_SHOWN = 30


def _evaluations(**more: Any) -> Exists:
    found: QuerySet[Evaluation] = Evaluation.objects.standing()
    return Exists(found.filter(**_of_row(), **more))


def _actuals(**more: Any) -> Exists:
    found = Actual.objects.filter(is_current=True, erased_at=None)
    return Exists(found.filter(**_of_row(), **more))


def _of_row() -> dict[str, Any]:
    return {"prediction_id": OuterRef("id"), "deployment_id": OuterRef("deployment_id")}


def _evaluated(value: str) -> Q:
    if value in _VERDICTS:
        return Q(_evaluations(verdict=_VERDICTS[value]))
    return Q(_evaluations()) if value == "available" else ~Q(_evaluations())


def _turned_out(value: str) -> Q:
    if value == "matches":
        return Q(_actuals(outcome=OuterRef("outcome")))
    if value == "differs":
        return Q(_actuals()) & ~Q(_actuals(outcome=OuterRef("outcome")))
    return Q(_actuals()) if value == "available" else ~Q(_actuals())


def _with_evaluation(deployment: Deployment, given: Filter) -> QuerySet[Any] | None:
    if "unavailable" in given.values:
        return None
    found = Evaluation.objects.standing().filter(deployment=deployment)
    if "available" in given.values:
        return found
    return found.filter(verdict__in=[_VERDICTS[value] for value in given.values])


def _with_actual(deployment: Deployment, given: Filter) -> QuerySet[Any] | None:
    if "unavailable" in given.values:
        return None
    found = Actual.objects.filter(deployment=deployment, is_current=True, erased_at=None)
    if set(given.values) == {"matches"}:
        return found.filter(outcome=F("predicted_outcome"))
    if set(given.values) == {"differs"}:
        return found.exclude(outcome=F("predicted_outcome"))
    return found


def _one_of(known: Sequence[str], condition: Callable[[str], Q]) -> Callable[[Filter], Q]:
    def filtered(given: Filter) -> Q:
        wanted = Q()
        for value in given.values:
            if value not in known or given.operator == "like":
                ways = ", ".join(f"eq:{each}" for each in known)
                text = f"{value[:60]} is not offered; use {ways}."
                raise ValidationError({given.name: text})
            wanted |= condition(value)
        return wanted

    return filtered


def _wire(predictions: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """The newest evaluation that stands, how many do, and the actual."""
    return {
        identifier: {
            "evaluation": evaluation_out(found.evaluations[-1]) if found.evaluations else None,
            "evaluationCount": len(found.evaluations),
            "actual": actual_out(found.actual) if found.actual else None,
        }
        for identifier, found in feedback_on(predictions).items()
    }


def _cells(records: Sequence[PredictionRecord]) -> dict[UUID, list[Cell]]:
    found = feedback_on([record.id for record in records])
    return {
        record.id: [_evaluated_cell(found[record.id]), _actual_cell(found[record.id], record)]
        for record in records
    }


def _evaluated_cell(found: Feedback) -> Cell:
    """One word for one judgement or several alike; the numbers where they differ."""
    said = [evaluation.verdict or "" for evaluation in found.evaluations]
    if not said:
        return Cell("–")
    if len(set(said)) > 1:
        return Cell(f"{said.count('disagree')} of {len(said)} disagree", "warn")
    more = f" · {len(said)}" if len(said) > 1 else ""
    return Cell(f"{found.evaluations[0].get_verdict_display()}{more}", _KINDS[said[0]])


def _actual_cell(found: Feedback, record: PredictionRecord) -> Cell:
    if found.actual is None or found.actual.outcome is None:
        return Cell("–")
    text = found.actual.outcome
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    if record.score is None:
        return Cell(shown)
    same = text == record.outcome
    return Cell(f"{shown} · {'right' if same else 'wrong'}", "good" if same else "bad")


def _withheld(user: User) -> dict[UUID, Withheld]:
    """What a person judges blind, as long as they may judge."""
    found = {}
    for identifier, claim in hidden_from(user, now=timezone.now()).items():
        queue = claim.case.queue
        workspace = queue.deployment.workspace
        if can(user, "prediction.evaluate", workspace):
            where = (workspace.slug, queue.id, claim.id)
            found[identifier] = Withheld(
                f"You are judging this case blind, in the queue “{queue.name}”: answer first.",
                reverse("review:case", args=where),
                reverse("review:look", args=where),
            )
    return found


COMPANION = Companion(
    filters={
        "evaluation": _one_of((*_VERDICTS, "available", "unavailable"), _evaluated),
        "actual": _one_of(("available", "unavailable", "matches", "differs"), _turned_out),
    },
    candidates={"evaluation": _with_evaluation, "actual": _with_actual},
    choices=(
        Choice(
            "evaluation",
            "Evaluated",
            (
                ("available", "Yes"),
                ("unavailable", "No"),
                ("agreed", "Agreed"),
                ("disagreed", "Disagreed"),
                ("unsure", "Unsure"),
            ),
        ),
        Choice(
            "actual",
            "Actual",
            (
                ("available", "Known"),
                ("unavailable", "Unknown"),
                ("matches", "As predicted"),
                ("differs", "Otherwise"),
            ),
        ),
    ),
    columns=("Evaluated", "Actual"),
    wire=_wire,
    cells=_cells,
    withheld=_withheld,
)

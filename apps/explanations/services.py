"""Explaining predictions that are on the record, later: by the model that made them."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction
from django_q.tasks import async_task

from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.canonical import digest
from apps.core.errors import Conflict, DomainError, Invalid
from apps.deployments import explainers
from apps.deployments.model_client import Unreachable
from apps.deployments.models import Component, Replica, Revision
from apps.deployments.services import model_of
from apps.explanations.commitment import EVENT, KIND, content_of
from apps.explanations.models import Explanation, ExplanationJob
from apps.predictions.models import PredictionRecord

State = ExplanationJob.State
_TASK = "apps.explanations.tasks.explain"
_ERASED = "This prediction was erased: there is nothing left to explain."
_NEAR = 1e-5
_JOB_SECONDS = 300
_LOST_AFTER = timedelta(seconds=2 * _JOB_SECONDS)


def explain_prediction(
    *,
    prediction: PredictionRecord,
    by: Actor,
    now: datetime,
    names: list[str] | None = None,
    seconds: float | None = None,
) -> list[Explanation]:
    """Asks the explainer for each method, or those of `names`, and keeps the answers.

    Raises Conflict where there is no explainer of the model that decided, where it is not ready,
    or where it would decide otherwise; Invalid for an unknown name.
    """
    if prediction.input is None:
        raise Conflict(_ERASED)
    revision = explaining_revision(prediction)
    component = explainers.component_of(revision)
    assert component is not None
    wanted = _wanted(component, names)
    given = _given(prediction)
    answers = _asked(component, given, wanted, seconds or settings.EXPLAIN_SECONDS)
    for answer in answers:
        # An image does not say what the model answers; its model is its own.
        if "output" in answer and not _agrees(answer["output"], _decided(prediction)):
            raise Conflict(
                "The model answers otherwise now than it did then, so its explanation would not "
                "be one of this prediction. Nothing is kept."
            )
    return keep(prediction, revision, answers, by, now)


def explaining_revision(prediction: PredictionRecord) -> Revision:
    """The active revision, where it serves the model that made the prediction and explains it.

    Raises Conflict, with what would help.
    """
    made, active = prediction.revision, prediction.deployment.active_revision
    if made is None or active is None:
        raise Conflict("No revision of this deployment serves, so its explainer does not run.")
    if made.id != active.id and model_of(made) != model_of(active):
        raise Conflict(
            f"{made} made this prediction with {model_of(made)}, and {active} serves "
            f"{model_of(active)}. Restore {made} to explain what it decided."
        )
    if explainers.component_of(active) is None:
        raise Conflict(f"{active} has no explainer. Add one by a new revision.")
    return active


def _wanted(component: Component, names: list[str] | None) -> list[str]:
    known = [each["name"] for each in component.config["explainers"]]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        text = f"There is no explainer {unknown[0]} here; there are {', '.join(known)}."
        raise Invalid(text, [{"field": "explainers", "message": text}])
    return list(dict.fromkeys(names or known))


def _given(prediction: PredictionRecord) -> Any:
    """What the model got."""
    if prediction.model_input is not None:
        return prediction.model_input_value
    return prediction.input_value


def _decided(prediction: PredictionRecord) -> Any:
    """What the model gave."""
    if prediction.model_output is not None:
        return prediction.model_output_value
    return prediction.output_value


def _asked(
    component: Component, instance: Any, names: list[str], seconds: float
) -> list[dict[str, Any]]:
    replica = component.replicas.filter(state=Replica.State.READY).order_by("index").first()
    if replica is None:
        raise Conflict("The explainer is not ready; it is being started. Try again in a moment.")
    try:
        [answers] = explainers.explained(replica, [instance], names, seconds=seconds)
    except Unreachable:
        raise Conflict("The explainer does not answer; it is being restarted.") from None
    except ValueError as error:
        raise Conflict(f"It could not be explained: {error}.") from None
    return answers


def _agrees(answer: Any, recorded: Any) -> bool:
    """The same value; numbers may differ where rows are computed in other company."""
    if isinstance(answer, list) and isinstance(recorded, list):
        pairs = zip(answer, recorded, strict=False)
        return len(answer) == len(recorded) and all(_agrees(one, two) for one, two in pairs)
    numbers = (int, float)
    if isinstance(answer, numbers) and isinstance(recorded, numbers):
        return math.isclose(answer, recorded, rel_tol=_NEAR, abs_tol=_NEAR)
    return bool(answer == recorded)


@transaction.atomic
def keep(
    prediction: PredictionRecord,
    revision: Revision,
    answers: list[dict[str, Any]],
    by: Actor,
    now: datetime,
) -> list[Explanation]:
    """Writes them with their events; not where the prediction was erased meanwhile."""
    locked = PredictionRecord.objects.select_for_update(of=("self",)).filter(
        id=prediction.id, salt__isnull=False
    )
    if not locked.exists():
        raise Conflict(_ERASED)
    return [_made(prediction, revision, answer, by, now) for answer in answers]


def _made(
    prediction: PredictionRecord,
    revision: Revision,
    answer: dict[str, Any],
    by: Actor,
    now: datetime,
) -> Explanation:
    explanation = Explanation(
        prediction_id=prediction.id,
        deployment=prediction.deployment,
        revision=revision,
        name=answer["name"],
        method=answer["method"],
        text=orjson.dumps(answer).decode(),
        salt=os.urandom(16),
        at=now,
        by_kind=by.kind,
        by_id=by.id,
        by_name=by.name[:200],
    )
    explanation.digest = digest(bytes(explanation.salt or b""), content_of(explanation))
    explanation.save(force_insert=True)
    audit.record(
        name=EVENT,
        by=by,
        workspace_id=prediction.deployment.workspace_id,
        object_type=KIND,
        object_id=explanation.id,
        object_name=prediction.deployment.name,
        data={
            "deploymentId": prediction.deployment_id,
            "predictionId": prediction.id,
            "revision": revision.number,
            "name": explanation.name,
            "method": explanation.method,
            "digest": explanation.digest.hex(),
        },
        at=now,
    )
    return explanation


@transaction.atomic
def ask_to_explain(
    *, prediction: PredictionRecord, by: Actor, now: datetime, names: list[str] | None = None
) -> ExplanationJob:
    """Gives the work to the worker; the same work that is under way is not given twice.

    Raises what `explain_prediction` raises without asking.
    """
    if prediction.input is None:
        raise Conflict(_ERASED)
    component = explainers.component_of(explaining_revision(prediction))
    assert component is not None
    wanted = _wanted(component, names)
    latest = latest_job(prediction)
    if latest and latest.is_open and latest.names == wanted and not is_lost(latest, now):
        return latest
    job = ExplanationJob.objects.create(
        prediction_id=prediction.id,
        deployment=prediction.deployment,
        names=wanted,
        by=asdict(by),
        state_at=now,
    )
    limit = _JOB_SECONDS + 60
    transaction.on_commit(lambda: async_task(_TASK, str(job.id), timeout=limit))
    return job


def latest_job(prediction: PredictionRecord) -> ExplanationJob | None:
    return ExplanationJob.objects.filter(prediction_id=prediction.id).order_by("-id").first()


def is_lost(job: ExplanationJob, now: datetime) -> bool:
    """Nobody works on it any more: no worker runs, or the one that took it is gone."""
    return job.is_open and now - job.state_at > _LOST_AFTER


def do_job(*, identifier: UUID, now: datetime) -> str:
    """Explains for a job that waits, once; how it ended. Another delivery does nothing."""
    waiting = ExplanationJob.objects.filter(id=identifier, state=State.WAITING)
    if waiting.update(state=State.WORKING, state_at=now) != 1:
        return "nothing to do"
    job = ExplanationJob.objects.get(id=identifier)
    prediction = (
        PredictionRecord.objects.select_related("deployment", "revision")
        .filter(id=job.prediction_id)
        .first()
    )
    try:
        if prediction is None:
            raise Conflict("The prediction is no longer on the record.")
        explain_prediction(
            prediction=prediction,
            by=Actor(**job.by),
            now=now,
            names=job.names,
            seconds=_JOB_SECONDS,
        )
        job.state = State.DONE
    except DomainError as error:
        job.state, job.error = State.FAILED, error.message
    job.state_at = now
    job.save(update_fields=["state", "state_at", "error"])
    return str(job.state)


def forget(*, predictions: Sequence[UUID], now: datetime) -> None:
    """Takes the content of later explanations where their predictions are erased; in the same
    transaction."""
    Explanation.objects.filter(prediction_id__in=predictions, erased_at=None).update(
        text=None, salt=None, erased_at=now
    )

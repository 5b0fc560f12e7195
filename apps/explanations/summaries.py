"""What a revision's model believes in general: asked of its explainer by the worker, and kept."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django_q.tasks import async_task

from apps.audit.actor import SYSTEM, Actor
from apps.audit.services import record
from apps.core.errors import Conflict
from apps.deployments import model_client
from apps.deployments.explainers import component_of, is_image, path_of
from apps.deployments.model_client import Unreachable
from apps.deployments.models import Component, Replica, Revision
from apps.explanations.models import GlobalExplanation

State = GlobalExplanation.State
_TASK = "apps.explanations.tasks.summarise"
_SECONDS, _SPARE_SECONDS = 120, 120
_LOST_AFTER = timedelta(minutes=15)
_ROWS, _CURVE_ROWS, _POINTS, _MOST_CURVES = 300, 60, 16, 8
_PAIR_ROWS, _MOST_TOGETHER = 40, 8
_ADDING_UP = ("shap.", "integrated_gradients")


class Unanswered(Exception):
    """The explainer is away or refuses, with its reason."""


def ask_for_summary(*, revision: Revision, by: Actor, now: datetime) -> GlobalExplanation:
    """Gives the computation to the worker. Raises Conflict without an explainer, or where it is
    under way already."""
    component = component_of(revision)
    if component is None:
        raise Conflict(f"{revision} has no explainer; add one by a new revision.")
    if is_image(component):
        raise Conflict(
            f"The explainer of {revision} is an image, which tells of single cases alone."
        )
    with transaction.atomic():
        found, made = GlobalExplanation.objects.select_for_update().get_or_create(
            revision=revision, defaults={"state_at": now}
        )
        if not made and found.is_under_way and now - found.state_at < _LOST_AFTER:
            raise Conflict("It is being computed already.")
        found.state, found.state_at, found.error = State.WAITING, now, ""
        found.save(update_fields=["state", "state_at", "error"])
        record(
            name="explanation.summary_asked",
            by=by,
            object_type="revision",
            object_id=revision.id,
            object_name=f"{revision.deployment.name} {revision}",
            workspace_id=revision.deployment.workspace_id,
        )
        limit = 4 * _SECONDS + _SPARE_SECONDS
        transaction.on_commit(lambda: async_task(_TASK, str(revision.id), timeout=limit))
    return found


def ask_for_missing(*, now: datetime) -> int:
    """Asks for those that active revisions with a ready explainer lack; how many."""
    ready = Component.objects.filter(
        kind=Component.Kind.EXPLAINER, replicas__state=Replica.State.READY
    ).exclude(config__has_key="image")
    lacking = Revision.objects.filter(
        state=Revision.State.ACTIVE, global_explanation=None, components__in=ready
    ).distinct()
    for revision in lacking:
        ask_for_summary(revision=revision, by=SYSTEM, now=now)
    return len(lacking)


def summarise(*, revision: Revision, now: datetime) -> GlobalExplanation:
    """Computes and keeps it. Nothing where it does not wait for that."""
    changed = GlobalExplanation.objects.filter(revision=revision, state=State.WAITING).update(
        state=State.WORKING, state_at=now
    )
    found = GlobalExplanation.objects.get(revision=revision)
    if not changed:
        return found
    started = time.monotonic()
    try:
        found.content = _asked(revision)
    except Unanswered as reason:
        found.state, found.error = State.FAILED, str(reason)
    else:
        found.state, found.error, found.made_at = State.DONE, "", now
        found.milliseconds = round((time.monotonic() - started) * 1000)
    found.state_at = now
    found.save()
    return found


def _asked(revision: Revision) -> dict[str, Any]:
    """Importances, then curves and interactions of the features that count most.

    Interactions ask the model most often; where that takes too long, the rest is kept and their
    `error` says so. Raises Unanswered.
    """
    component = component_of(revision)
    ready = component.replicas.filter(state=Replica.State.READY).first() if component else None
    if component is None or ready is None:
        raise Unanswered(f"The explainer of {revision} does not run; only what runs can be asked.")
    content = {"permutation": _ask(ready.address, {"method": "importance", "rows": _ROWS})}
    name = adding_up(component)
    if name:
        asked = {"method": "importance", "by": name, "rows": _ROWS}
        content["contributions"] = _ask(ready.address, asked)
    first = content.get("contributions") or content["permutation"]
    content["curves"] = _ask(
        ready.address,
        {
            "method": "partial_dependence",
            "features": first["importance"]["ranking"][:_MOST_CURVES],
            "points": _POINTS,
            "rows": _CURVE_ROWS,
        },
    )
    together = first["importance"]["ranking"][:_MOST_TOGETHER]
    if len(together) > 1:
        content["interactions"] = _together(ready.address, together)
    return content


def _together(address: str, features: list[str]) -> dict[str, Any]:
    asked = {"method": "interactions", "features": features, "rows": _PAIR_ROWS}
    try:
        return _ask(address, asked)
    except Unanswered as reason:
        return {"error": str(reason)}


def adding_up(component: Component) -> str:
    """The name of the explainer whose contributions add up to the prediction, or none."""
    for each in component.config["explainers"]:
        if each["method"].startswith(_ADDING_UP):
            return str(each["name"])
    return ""


def _ask(address: str, asked: dict[str, Any]) -> dict[str, Any]:
    body = asked | {"seconds": _SECONDS}
    path = path_of("summarise")
    try:
        status, answer = model_client.post(address, path, body, timeout=_SECONDS + 5)
    except Unreachable:
        raise Unanswered("The explainer does not answer; try again when it runs.") from None
    if status != 200:
        raise Unanswered(str(answer.get("error") or f"The explainer answered {status}."))
    summary: dict[str, Any] = answer["summary"]
    return summary

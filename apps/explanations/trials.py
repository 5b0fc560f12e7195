"""Trying explainers out before they are deployed: what each method costs, and what it says.

The worker starts a server for each method in turn, as the explainer of a revision would be
started, measures ten rows, keeps the answer to the example input, and ends the server. Where the
worker dies, the controller ends it.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django_q.tasks import async_task

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import Invalid
from apps.core.ids import uuid7
from apps.deployments import trial_server
from apps.deployments.backends.base import BackendError, Handle
from apps.deployments.explainer_checks import check_explainer
from apps.deployments.explainers import Explainer, Method, methods_of
from apps.deployments.model_client import Unreachable
from apps.deployments.run_settings import RunSettings
from apps.deployments.trial_server import Refused
from apps.explanations.models import ExplainerTrial
from apps.registry.models import ModelVersion

log = logging.getLogger(__name__)
State = ExplainerTrial.State
ROWS = 10
KEPT = timedelta(minutes=60)
_TASK = "apps.explanations.tasks.try_explainers"
_METHOD_SECONDS, _SECONDS = 90, 300
_LOOK_SECONDS = 0.2
_LOST_AFTER = timedelta(seconds=2 * _METHOD_SECONDS)
_WAITS_AT_MOST = timedelta(minutes=10)
_ENDED = "What measured has ended before it was done. Measure again."
_NOT_TAKEN = "No worker took it up. See whether the worker runs, and measure again."


class Stopped(Exception):
    """The trial was cancelled meanwhile."""


def ask_for_trial(
    *, version: ModelVersion, explainer: Explainer, by: User, now: datetime
) -> ExplainerTrial:
    """Gives the work to the worker, in place of what the same person had measured before.

    Raises Invalid where the explainer cannot be one of this version.
    """
    if not explainer.methods:
        raise Invalid("Choose a method first; there is nothing to measure.")
    check_explainer(explainer, version)
    with transaction.atomic():
        earlier = ExplainerTrial.objects.filter(asked_by=by, state__in=ExplainerTrial.OPEN)
        earlier.update(state=State.CANCELLED)
        made = ExplainerTrial.objects.create(
            version=version,
            background=explainer.background,
            methods=[method.as_json() for method in explainer.methods],
            config={
                "rows": explainer.rows,
                "seed": explainer.seed,
                "memory_mb": explainer.run.memory_mb,
            },
            backend=settings.DEFAULT_BACKEND,
            seen_at=now,
            asked_by=by,
        )
        record(
            name="explanation.trial_asked",
            by=by.actor,
            object_type="model",
            object_id=version.model_id,
            object_name=str(version),
            workspace_id=version.model.workspace_id,
            data={"names": explainer.words},
        )
        limit = _SECONDS + _METHOD_SECONDS
        transaction.on_commit(lambda: async_task(_TASK, str(made.id), timeout=limit))
    return made


def cancel(*, trial: ExplainerTrial) -> None:
    """Asks it to end; the server that runs for it is ended within seconds."""
    ExplainerTrial.objects.filter(pk=trial.pk, state__in=ExplainerTrial.OPEN).update(
        state=State.CANCELLED
    )


def latest_trial(user: User, version: ModelVersion, now: datetime) -> ExplainerTrial | None:
    """What a person had measured of a version in the last hour."""
    found = ExplainerTrial.objects.filter(
        asked_by=user, version=version, created_at__gt=now - KEPT
    ).exclude(state=State.CANCELLED)
    return found.select_related("version", "background").first()


def fault(trial: ExplainerTrial, now: datetime) -> str:
    """Why it came to nothing, or will; empty where it goes on or is done."""
    if trial.state == State.WAITING and now - trial.seen_at > _WAITS_AT_MOST:
        return _NOT_TAKEN
    return trial.error


def perform(*, identifier: UUID) -> str:
    """Measures each method of a trial that waits, once; how it ended."""
    waiting = ExplainerTrial.objects.filter(id=identifier, state=State.WAITING)
    if waiting.update(state=State.WORKING, seen_at=timezone.now()) != 1:
        return "nothing to do"
    trial = ExplainerTrial.objects.select_related("version__model", "version__artifact").get(
        id=identifier
    )
    until = time.monotonic() + _SECONDS
    try:
        for method in methods_of(trial.methods):
            trial.results.append(_result(trial, method, until))
            _note(trial, results=trial.results)
    except Stopped:
        return "cancelled"
    _note(trial, state=State.DONE)
    return "done"


def _result(trial: ExplainerTrial, method: Method, until: float) -> dict[str, Any]:
    """What a method costs and says, or why it cannot. Raises Stopped."""
    told: dict[str, Any] = {"name": method.name, "method": method.method, "refused": ""}
    seconds = min(_METHOD_SECONDS, until - time.monotonic())
    if seconds <= 0:
        text = f"It was not measured: the trial's {_SECONDS} seconds were over. Try fewer at once."
        return told | {"refused": text}
    try:
        return told | _measured(trial, method, seconds)
    except Refused as reason:
        return told | {"refused": str(reason)}


def _measured(trial: ExplainerTrial, method: Method, seconds: float) -> dict[str, Any]:
    began = time.monotonic()
    handle = trial_server.start(
        identifier=uuid7(),
        version=trial.version,
        method=method,
        given=_explainer(trial),
        backend=trial.backend,
        now=timezone.now(),
    )
    try:
        _note(trial, handle=handle)
        while not (address := trial_server.address_when_ready(handle, trial.backend)):
            if time.monotonic() - began > seconds:
                text = f"It was not ready within {seconds:.0f} seconds. Give it fewer rows."
                raise Refused(text)
            time.sleep(_LOOK_SECONDS)
            _note(trial)
        started = time.monotonic() - began
        left = max(seconds - started, 1.0)
        found = trial_server.measure(address, method.name, rows=ROWS, seconds=left)
    except Unreachable:
        _note(trial)
        raise Refused("Its server ended while it measured. It may need more memory.") from None
    finally:
        _end(trial, handle)
    kept = {name: found[name] for name in ("of", "milliseconds", "instance", "example")}
    return kept | {"seconds": round(started, 1)}


def _explainer(trial: ExplainerTrial) -> Explainer:
    config = trial.config
    run = RunSettings(memory_mb=config["memory_mb"])
    return Explainer(background=trial.background, rows=config["rows"], seed=config["seed"], run=run)


def _note(trial: ExplainerTrial, **changes: Any) -> None:
    """Writes how far it is. Raises Stopped where nobody waits for it any more."""
    still = ExplainerTrial.objects.filter(pk=trial.pk, state=State.WORKING)
    if still.update(seen_at=timezone.now(), **changes) != 1:
        raise Stopped


def _end(trial: ExplainerTrial, handle: Handle) -> None:
    """Ends the server; the handle stays where that fails, so that the controller tries again."""
    ExplainerTrial.objects.filter(pk=trial.pk).update(handle=handle)
    try:
        trial_server.end(handle, trial.backend)
    except BackendError as error:
        log.warning("The server of trial %s is ended later: %s", trial.pk, error)
        return
    ExplainerTrial.objects.filter(pk=trial.pk).update(handle={})


def living_handles() -> list[Handle]:
    """Servers of trials that go on."""
    found = ExplainerTrial.objects.filter(state=State.WORKING).exclude(handle={})
    return list(found.values_list("handle", flat=True))


def end_left(*, now: datetime) -> int:
    """Gives up trials whose worker is gone, ends servers that nobody waits for, and forgets what
    is old; how many servers. One question where there is nothing of that."""
    lost = Q(state=State.WORKING, seen_at__lt=now - _LOST_AFTER)
    left = ~Q(state=State.WORKING) & ~Q(handle={})
    old = ~Q(state=State.WORKING) & Q(created_at__lt=now - KEPT, handle={})
    if not ExplainerTrial.objects.filter(lost | left | old).exists():
        return 0
    ExplainerTrial.objects.filter(lost).update(state=State.FAILED, error=_ENDED)
    ended = 0
    for trial in ExplainerTrial.objects.filter(left):
        _end(trial, trial.handle)
        ended += 1
    ExplainerTrial.objects.filter(old).delete()
    return ended

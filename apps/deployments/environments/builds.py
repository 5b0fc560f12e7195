"""Builds: asked for, cancelled, tried again, removed, collected; each change with its event."""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django_q.tasks import async_task

from apps.audit import services as audit
from apps.audit.actor import SYSTEM, Actor
from apps.core.errors import Conflict
from apps.deployments.backends.base import BackendError
from apps.deployments.environments import build_log, locks, venv
from apps.deployments.environments.builders import builder_of
from apps.deployments.models import Component, Deployment, Environment, EnvironmentBuild, Revision
from apps.deployments.services import notify_routes

log = logging.getLogger(__name__)
State = EnvironmentBuild.State
UNDER_WAY = (State.PENDING, State.BUILDING)
_ENDED = (State.FAILED, State.CANCELLED)
LIVING = (
    Revision.State.PENDING,
    Revision.State.BUILDING,
    Revision.State.STARTING,
    Revision.State.CHECKING,
    Revision.State.ACTIVE,
    Revision.State.DRAINING,
)
_TASK = "apps.deployments.tasks.build_environment"
_STARTS_WITHIN = timedelta(seconds=5)
_DELIVERED_WITHIN = timedelta(minutes=5)
_SPARE_SECONDS = 300
_DAY_SECONDS = 86_400


@transaction.atomic
def ensure(*, environment: Environment, kind: str, now: datetime) -> EnvironmentBuild:
    """The build of this kind; asked for where there is none, again where the last one failed."""
    build, made = EnvironmentBuild.objects.get_or_create(
        environment=environment, kind=kind, defaults={"state_at": now}
    )
    if made or _reset(build, _ENDED, now):
        enqueue(build.id)
    return build


@transaction.atomic
def cancel(*, build: EnvironmentBuild, by: Actor, now: datetime) -> None:
    """Ends a build that is under way, within seconds. Raises Conflict where none is."""
    rows = EnvironmentBuild.objects.filter(pk=build.pk)
    waiting = rows.filter(state=State.PENDING)
    if not waiting.update(
        state=State.CANCELLED, state_at=now, error=_cancelled_by(by)
    ) and not rows.filter(state=State.BUILDING).update(
        cancel_requested=True, error=_cancelled_by(by)
    ):
        raise Conflict("This build is not under way, so there is nothing to cancel.")
    record(build, "environment.cancelled", by)
    notify_routes()


@transaction.atomic
def retry(*, build: EnvironmentBuild, by: Actor, now: datetime) -> None:
    """Builds again what failed or was cancelled. Raises Conflict in every other state."""
    if not _reset(build, _ENDED, now):
        raise Conflict("Only a build that failed or was cancelled can be tried again.")
    record(build, "environment.retried", by)
    enqueue(build.id)


@transaction.atomic
def rebuild(*, build: EnvironmentBuild, now: datetime) -> None:
    """Builds again what was ready and is gone or damaged; nothing where that is under way."""
    if _reset(build, (State.READY, *_ENDED), now):
        record(build, "environment.lost", SYSTEM, {"location": build.location})
        enqueue(build.id)


@transaction.atomic
def remove(*, build: EnvironmentBuild, by: Actor) -> None:
    """Takes a build away with its files. Raises Conflict while it is needed or under way.

    It goes from the table first: what is found there exists. The files follow the commit.
    """
    locked = EnvironmentBuild.objects.select_for_update().filter(pk=build.pk).first()
    if locked is None:
        return
    if locked.state in UNDER_WAY:
        raise Conflict("This build is under way; cancel it first.")
    if build.environment in environments_in_use():
        raise Conflict("Deployments run in this environment, so it stays.")
    record(locked, "environment.removed", by, {"size": locked.size})
    environment, kind, location = locked.environment, locked.kind, locked.location
    locked.delete()
    used = Component.objects.filter(environment=environment).exists()
    if not used and not environment.builds.exists():
        environment.delete()
    transaction.on_commit(lambda: _remove_files(environment.digest, kind, location))


def collect(*, now: datetime) -> int:
    """Removes the builds that no living revision needs and none has used for some time."""
    in_use = environments_in_use()
    in_use.update(last_used_at=now)
    limit = now - timedelta(days=settings.ENVIRONMENT_UNUSED_DAYS)
    unused = EnvironmentBuild.objects.exclude(environment__in=environments_in_use())
    removed = 0
    for build in unused.exclude(state__in=UNDER_WAY).filter(environment__last_used_at__lt=limit):
        try:
            remove(build=build, by=SYSTEM)
        except Conflict:
            continue
        removed += 1
    listed = Component.objects.exclude(environment=None).values("environment")
    old = Environment.objects.filter(builds=None, last_used_at__lt=limit)
    old.exclude(pk__in=listed).delete()
    kept = EnvironmentBuild.objects.filter(kind=EnvironmentBuild.Kind.VENV)
    known = {
        str(venv.folder() / digest) for digest in kept.values_list("environment__digest", flat=True)
    }
    venv.sweep(known, before=now.timestamp() - _DAY_SECONDS)
    return removed


def recover(*, now: datetime) -> None:
    """Hands over again what a worker that died left behind, or what it was never told of."""
    under_way = EnvironmentBuild.objects.filter(state__in=UNDER_WAY).order_by("state_at")
    for build in under_way:
        late = _STARTS_WITHIN if build.state == State.BUILDING else _DELIVERED_WITHIN
        if now - build.state_at < late or locks.is_building(build.id):
            continue
        if build.state == State.PENDING and locks.somebody_builds():
            continue
        with transaction.atomic():
            if _reset(build, (build.state,), now):
                enqueue(build.id)


def environments_in_use() -> QuerySet[Environment]:
    """The environments of living revisions, of deployments that are not deleted."""
    living = (
        Component.objects.filter(revision__state__in=LIVING)
        .exclude(revision__deployment__desired=Deployment.Desired.DELETED)
        .exclude(environment=None)
    )
    return Environment.objects.filter(pk__in=living.values("environment"))


def enqueue(build_id: UUID) -> None:
    """Gives the build to the worker when the transaction commits."""
    limit = settings.ENVIRONMENT_BUILD_SECONDS + _SPARE_SECONDS
    transaction.on_commit(lambda: async_task(_TASK, str(build_id), timeout=limit))


def record(
    build: EnvironmentBuild, name: str, by: Actor, data: dict[str, Any] | None = None
) -> None:
    """An event about a build."""
    audit.record(
        name=name,
        by=by,
        object_type="environment",
        object_id=build.environment_id,
        object_name=build.environment.name,
        data={"kind": build.kind, "digest": build.environment.digest} | (data or {}),
    )


def _reset(build: EnvironmentBuild, states: tuple[str, ...], now: datetime) -> bool:
    """Back to waiting from one of `states`; False where it was in none of them."""
    rows = EnvironmentBuild.objects.filter(pk=build.pk, state__in=states)
    changed = rows.update(state=State.PENDING, state_at=now, error="", cancel_requested=False)
    if changed:
        build.refresh_from_db()
    return bool(changed)


def _cancelled_by(by: Actor) -> str:
    return f"{by.name} cancelled it."


def _remove_files(digest: str, kind: str, location: str) -> None:
    if location:
        try:
            builder_of(kind).remove(location)
        except BackendError as error:
            log.warning("What is left of environment %s stays: %s", digest, error)
    build_log.path_of(digest, kind).unlink(missing_ok=True)

"""Whether a revision's environments are there: what the controller asks before it starts one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from apps.deployments.environments import build_log, builds
from apps.deployments.environments.builders import builder_of, kind_for
from apps.deployments.models import Component, Environment, EnvironmentBuild, Revision

_TRY_AGAIN_AFTER = timedelta(minutes=5)
_NOTE_USE_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How the environments of a revision stand; `reason` and `tail` where one failed."""

    state: Literal["ready", "waiting", "failed"]
    reason: str = ""
    tail: str = ""


class NotBuilt(Exception):
    """A component's environment is not there; it is being built."""


def prepare(revision: Revision, now: datetime) -> bool:
    """Asks for every environment that the revision needs; True where one has to be waited for."""
    kind = kind_for(revision.backend)
    for environment in _environments(revision):
        builds.ensure(environment=environment, kind=kind, now=now)
    return outlook(revision).state != "ready"


def outlook(revision: Revision) -> Outlook:
    kind = kind_for(revision.backend)
    environments = _environments(revision)
    found = EnvironmentBuild.objects.filter(environment__in=environments, kind=kind)
    by_environment = {build.environment_id: build for build in found}
    waiting = False
    for environment in environments:
        build = by_environment.get(environment.id)
        if build is None or build.state in builds.UNDER_WAY:
            waiting = True
        elif build.state != EnvironmentBuild.State.READY:
            tail = build_log.tail(environment.digest, kind, lines=60)
            reason = f"Its environment, {environment}, was not built: {build.error}"
            return Outlook("failed", reason, tail)
    return Outlook("waiting" if waiting else "ready")


def location_of(component: Component, backend: str, now: datetime) -> str:
    """Where the component's environment lies; empty where the application's own packages serve.

    Raises NotBuilt where it is missing or damaged, and has it built again.
    """
    environment = component.environment
    if environment is None:
        return ""
    kind = kind_for(backend)
    build = environment.builds.filter(kind=kind).first()
    if build is None:
        builds.ensure(environment=environment, kind=kind, now=now)
        raise NotBuilt(f"The environment {environment} is being built.")
    if build.state == EnvironmentBuild.State.READY:
        if builder_of(kind).exists(build.location):
            _note_use(environment, now)
            return build.location
        builds.rebuild(build=build, now=now)
    elif build.state not in builds.UNDER_WAY and now - build.state_at > _TRY_AGAIN_AFTER:
        builds.ensure(environment=environment, kind=kind, now=now)
    reason = f" The last attempt failed: {build.error}" if build.error else ""
    raise NotBuilt(f"The environment {environment} is missing and is built again.{reason}")


def _environments(revision: Revision) -> list[Environment]:
    components = revision.components.exclude(environment=None)
    return list(Environment.objects.filter(pk__in=components.values("environment")))


def _note_use(environment: Environment, now: datetime) -> None:
    if now - environment.last_used_at > _NOTE_USE_AFTER:
        Environment.objects.filter(pk=environment.pk).update(last_used_at=now)

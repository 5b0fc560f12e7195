"""What the worker does for one build: claim, resolve, build, say how it ended."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.audit.actor import SYSTEM
from apps.deployments.environments import build_log, builds, lists, locks, pip, venv
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.builders import builder_of
from apps.deployments.environments.outcome import BuildCancelled, BuildFailed, Built
from apps.deployments.models import Component, Environment, EnvironmentBuild
from apps.deployments.services import notify_routes
from apps.registry.models import ModelVersion

log = logging.getLogger(__name__)
State = EnvironmentBuild.State


def perform(build_id: UUID) -> str:
    """Carries out a build where nobody else does, and hands over the next; what came of it.

    May be called any number of times. A build whose builder died is begun anew.
    """
    with locks.building(build_id) as alone:
        if not alone:
            return "another build is under way"
        build = _claim(build_id)
        outcome = "nothing to do" if build is None else _carry_out(build)
    waiting = EnvironmentBuild.objects.filter(state=State.PENDING).order_by("state_at").first()
    if waiting is not None:
        builds.enqueue(waiting.id)
    return outcome


def _claim(build_id: UUID) -> EnvironmentBuild | None:
    """The build, now building; None where it is gone, at rest, or cancelled before it began."""
    rows = EnvironmentBuild.objects.filter(pk=build_id, state__in=builds.UNDER_WAY)
    now = timezone.now()
    if rows.filter(cancel_requested=True).update(state=State.CANCELLED, state_at=now):
        notify_routes()
        return None
    if not rows.update(state=State.BUILDING, state_at=now):
        return None
    notify_routes()
    return EnvironmentBuild.objects.select_related("environment").get(pk=build_id)


def _carry_out(build: EnvironmentBuild) -> str:
    path = build_log.path_of(build.environment.digest, build.kind)

    def cancelled() -> bool:
        asked = EnvironmentBuild.objects.filter(pk=build.pk, cancel_requested=False)
        return not asked.exists()

    with BuildLog(path) as out:
        try:
            if not lists.is_resolved(build.environment) and _resolve(build, out, cancelled):
                return "its list is that of another environment"
            built = builder_of(build.kind).build(build.environment, out, cancelled)
        except BuildCancelled:
            return _end(build, State.CANCELLED, out)
        except BuildFailed as error:
            if error.missing in lists.OWN_PACKAGES:
                _run_without(build, str(error))
            return _end(build, State.FAILED, out, str(error))
        except Exception as error:
            log.exception("Environment %s could not be built", build.environment)
            text = f"Something failed that nobody foresaw: {error}. The worker's log has more."
            return _end(build, State.FAILED, out, text)
        return _end(build, State.READY, out, built=built)


def _resolve(build: EnvironmentBuild, out: BuildLog, cancelled: Callable[[], bool]) -> bool:
    """Gives the environment its exact list; True where another one has that list already."""
    environment = build.environment
    with tempfile.TemporaryDirectory(".partial", dir=venv.folder()) as work:
        lines = environment.requirements.splitlines()
        pins = pip.resolve(lines, work=Path(work), log=out, cancelled=cancelled)
    for version in _versions_in(environment):
        check_sums(pins, version.requirements)
    return _settle(build, [str(pin) for pin in pins])


def check_sums(pins: list[pip.Pin], requirements: str) -> None:
    """Raises BuildFailed where a file is none of those whose checksums the requirements give."""
    for name, sums in lists.checksums(requirements).items():
        for pin in pins:
            if pin.name == name and pin.sha256 not in sums:
                raise BuildFailed(
                    f"{pin} does not have a checksum that the requirements give: the file here "
                    f"has {pin.sha256[:12] or 'none'}…. Ask where it comes from, or take the "
                    "checksums of the files in your index."
                )


@transaction.atomic
def _settle(build: EnvironmentBuild, pins: list[str]) -> bool:
    """Moves the environment to its resolved list, or what uses it to the one that has it."""
    environment = build.environment
    requirements = lists.canonical(pins)
    digest = lists.digest_of(environment.python, requirements)
    other = Environment.objects.select_for_update().filter(digest=digest).first()
    old = build_log.path_of(environment.digest, build.kind)
    if other is None:
        environment.requirements, environment.digest = requirements, digest
        environment.save(update_fields=["requirements", "digest"])
        old.rename(build_log.path_of(digest, build.kind))
        return False
    Component.objects.filter(environment=environment).update(environment=other)
    for each in environment.builds.all():
        builds.ensure(environment=other, kind=each.kind, now=timezone.now())
    environment.delete()
    old.unlink(missing_ok=True)
    notify_routes()
    return True


@transaction.atomic
def _run_without(build: EnvironmentBuild, reason: str) -> None:
    """Where the release that saved a file does not exist for this Python, the application's own
    packages try it: the check with the example input decides. A version's own requirements are
    never left out."""
    versions = _versions_in(build.environment)
    if not versions or any(version.requirements.strip() for version in versions):
        return
    if any(lists.has_list(version.framework) for version in versions):
        return
    Component.objects.filter(environment=build.environment).update(environment=None)
    builds.record(build, "environment.unavailable", SYSTEM, {"reason": reason})


def _versions_in(environment: Environment) -> list[ModelVersion]:
    components = Component.objects.filter(environment=environment).exclude(model_version=None)
    return list(ModelVersion.objects.filter(pk__in=components.values("model_version")))


def _end(
    build: EnvironmentBuild, state: str, out: BuildLog, error: str = "", built: Built | None = None
) -> str:
    """Writes down how it ended, unless the row has gone or somebody moved it."""
    values: dict[str, object] = {"state": state, "state_at": timezone.now()}
    if error:
        out.write(error)
        values["error"] = error
    if built:
        values |= {"location": built.location, "size": built.size, "error": ""}
    with transaction.atomic():
        rows = EnvironmentBuild.objects.filter(pk=build.pk, state=State.BUILDING)
        if rows.update(**values):
            if state != State.CANCELLED:
                name = "environment.built" if built else "environment.failed"
                builds.record(build, name, SYSTEM, {"reason": error} if error else {})
            notify_routes()
    return state

"""What pages and the API read of environments."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.http import Http404

from apps.accounts.access import AnyUser, can, visible_workspaces
from apps.accounts.models import User, Workspace
from apps.deployments.environments import build_log, builds
from apps.deployments.environments.builders import kind_for
from apps.deployments.models import Component, Deployment, Environment, EnvironmentBuild, Revision

_KINDS = {"ready": "good", "failed": "bad", "cancelled": "none"}
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Use:
    """A revision that runs or ran in an environment."""

    deployment: Deployment
    revision: Revision
    is_living: bool


@dataclass(frozen=True, slots=True)
class Row:
    """An environment with its builds, the uses that the reader may see, and what is so of it."""

    environment: Environment
    builds: list[EnvironmentBuild]
    uses: list[Use]
    is_in_use: bool

    @property
    def packages(self) -> list[str]:
        return self.environment.requirements.splitlines()

    @property
    def size(self) -> int | None:
        sizes = [build.size for build in self.builds if build.size is not None]
        return sum(sizes) if sizes else None


def environments_visible_to(user: AnyUser) -> QuerySet[Environment]:
    """The environments that components of the user's workspaces name; all for those who see all.

    An environment is the installation's; a member learns of those that their own revisions use.
    """
    if can(user, "organisation.view_log"):
        return Environment.objects.all()
    used = Component.objects.filter(
        revision__deployment__workspace__in=visible_workspaces(user)
    ).exclude(environment=None)
    return Environment.objects.filter(pk__in=used.values("environment"))


def rows_for(user: AnyUser) -> list[Row]:
    """The newest environments that the user may see, last used first, in a few queries."""
    found = environments_visible_to(user).order_by("-last_used_at", "-id")[:_MOST_SHOWN]
    return _rows(list(found.prefetch_related(_builds())), user)


def find_row(user: AnyUser, identifier: UUID | str) -> Row:
    """One environment. Raises Http404 where there is none that the user may see."""
    try:
        key = UUID(str(identifier))
    except ValueError:
        raise Http404("There is no such environment.") from None
    found = environments_visible_to(user).filter(pk=key).prefetch_related(_builds()).first()
    if found is None:
        raise Http404("There is no such environment, or none of your deployments uses it.")
    return _rows([found], user)[0]


def may_manage(user: AnyUser, environment: Environment) -> bool:
    """True for admins, and for whoever may change deployments in every workspace that uses it."""
    if can(user, "organisation.manage"):
        return True
    workspaces = Workspace.objects.filter(
        pk__in=Component.objects.filter(environment=environment).values(
            "revision__deployment__workspace"
        )
    )
    found = list(workspaces)
    return bool(found) and all(can(user, "deployment.change", each) for each in found)


def kind_of_state(build: EnvironmentBuild) -> str:
    """The colour of a build's state: good, warn, bad or none."""
    return _KINDS.get(build.state, "warn")


def builds_of(revision: Revision) -> list[dict[str, Any]]:
    """What the progress page shows of the builds that a revision waits for, or failed on."""
    components = revision.components.exclude(environment=None)
    found = EnvironmentBuild.objects.filter(
        environment__in=components.values("environment"), kind=kind_for(revision.backend)
    ).exclude(state=EnvironmentBuild.State.READY)
    return [
        {
            "build": build,
            "colour": kind_of_state(build),
            "log": build_log.tail(build.environment.digest, build.kind, lines=40),
        }
        for build in found.select_related("environment")
    ]


def _builds() -> "Prefetch[str, QuerySet[EnvironmentBuild], str]":
    return Prefetch("builds", EnvironmentBuild.objects.order_by("kind"))


def _rows(environments: list[Environment], user: AnyUser) -> list[Row]:
    in_use = set(
        builds.environments_in_use()
        .filter(pk__in=[each.pk for each in environments])
        .values_list("pk", flat=True)
    )
    uses: dict[UUID, list[Use]] = {}
    for component in _components(environments, user):
        revision = component.revision
        living = revision.state in builds.LIVING
        assert component.environment_id is not None
        use = Use(
            revision.deployment, revision, living and revision.deployment.desired != "deleted"
        )
        uses.setdefault(component.environment_id, []).append(use)
    return [
        Row(each, list(each.builds.all()), uses.get(each.pk, []), each.pk in in_use)
        for each in environments
    ]


def _components(environments: list[Environment], user: AnyUser) -> QuerySet[Component]:
    workspaces = visible_workspaces(user) if isinstance(user, User) else Workspace.objects.none()
    return (
        Component.objects.filter(
            environment__in=environments, revision__deployment__workspace__in=workspaces
        )
        .select_related("revision__deployment__workspace")
        .order_by("-revision_id")
    )

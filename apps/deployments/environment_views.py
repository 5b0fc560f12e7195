"""Pages of the installation's environments: list, one with its build log, and what to do."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from django_htmx.middleware import HtmxDetails

from apps.accounts.access import require
from apps.accounts.models import User
from apps.core.errors import DomainError
from apps.deployments.environments import build_log, builds
from apps.deployments.environments.selectors import (
    Row,
    find_row,
    kind_of_state,
    may_manage,
    rows_for,
)
from apps.deployments.models import EnvironmentBuild

_LOG_LINES = 400


class Request(HttpRequest):
    """A request of somebody who is signed in, through the middleware of htmx."""

    htmx: HtmxDetails
    user: User


@require_GET
def environment_list(request: Request) -> HttpResponse:
    found = rows_for(request.user)
    rows = [
        {"row": row, "builds": [_shown(build) for build in row.builds], "living": living_in(row)}
        for row in found
    ]
    total = sum(row.size or 0 for row in found)
    context = {"rows": rows, "total": total, "section": "environments"}
    return render(request, "deployments/environments/list.html", context)


@require_GET
def environment_detail(request: Request, identifier: UUID) -> HttpResponse:
    """One environment; the fragment asks again until no build is under way.

    One that was given up for another with the same list is gone: its page leads to the list.
    """
    partial = request.htmx and not request.htmx.boosted
    try:
        row = find_row(request.user, identifier)
    except Http404:
        if not partial:
            raise
        return HttpResponse(headers={"HX-Redirect": reverse("deployments:environments")})
    digest = row.environment.digest
    shown = [
        _shown(build) | {"log": build_log.tail(digest, build.kind, lines=_LOG_LINES)}
        for build in row.builds
    ]
    context = {
        "row": row,
        "builds": shown,
        "living": living_in(row),
        "at_rest": not any(each["under_way"] for each in shown),
        "may_manage": may_manage(request.user, row.environment),
        "section": "environments",
    }
    name = "_detail" if partial else "detail"
    response = render(request, f"deployments/environments/{name}.html", context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
def environment_cancel(request: Request, identifier: UUID, kind: str) -> HttpResponse:
    build = build_to_manage(request.user, identifier, kind)
    return _answer(
        request,
        build,
        "The build is being cancelled.",
        lambda: builds.cancel(build=build, by=request.user.actor, now=timezone.now()),
    )


@require_POST
def environment_retry(request: Request, identifier: UUID, kind: str) -> HttpResponse:
    build = build_to_manage(request.user, identifier, kind)
    return _answer(
        request,
        build,
        "The build waits for the worker.",
        lambda: builds.retry(build=build, by=request.user.actor, now=timezone.now()),
    )


@require_POST
def environment_remove(request: Request, identifier: UUID, kind: str) -> HttpResponse:
    """Admins alone: it takes disk space back, and the next start has to build again."""
    row = find_row(request.user, identifier)
    require(request.user, "organisation.manage")
    build = _build(row, kind)
    try:
        builds.remove(build=build, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("deployments:environment", identifier)
    messages.success(request, f"{row.environment} is removed; it is built again when needed.")
    return redirect("deployments:environments")


def build_to_manage(user: User, identifier: UUID | str, kind: str) -> EnvironmentBuild:
    """The build that `user` may cancel and retry. Raises Http404 or PermissionDenied."""
    row = find_row(user, identifier)
    if not may_manage(user, row.environment):
        raise PermissionDenied(
            "Admins, and operators of every workspace that uses this environment, may do this."
        )
    return _build(row, kind)


def living_in(row: Row) -> list[dict[str, Any]]:
    """The deployments that run in an environment, each once, with its newest such revision."""
    found: dict[UUID, dict[str, Any]] = {}
    for use in row.uses:
        if use.is_living:
            entry = {"deployment": use.deployment, "revision": use.revision}
            found.setdefault(use.deployment.id, entry)
    return list(found.values())


def _build(row: Row, kind: str) -> EnvironmentBuild:
    build = next((each for each in row.builds if each.kind == kind), None)
    if build is None:
        raise Http404("This environment was not built in that kind.")
    return build


def _answer(
    request: Request, build: EnvironmentBuild, said: str, act: Callable[[], None]
) -> HttpResponse:
    try:
        act()
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said)
    return redirect("deployments:environment", build.environment_id)


def _shown(build: EnvironmentBuild) -> dict[str, Any]:
    return {
        "build": build,
        "colour": kind_of_state(build),
        "under_way": build.state in builds.UNDER_WAY,
        "ended": build.state in ("failed", "cancelled"),
    }

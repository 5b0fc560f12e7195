"""Pages of a deployment whose first revision waits for an import."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts.access import require, workspace_for
from apps.accounts.models import User
from apps.core.errors import DomainError
from apps.deployments.importing import try_again, waiting_for_reason
from apps.deployments.models import Deployment
from apps.deployments.selectors import find_deployment, import_for, newest_revision
from apps.registry.models import Import
from apps.registry.views.imports import COLOURS

_ENDED = (Import.State.FAILED, Import.State.CANCELLED)


def waiting(deployment: Deployment) -> HttpResponse | None:
    """Where a page leads that needs a revision; None where there is one."""
    if newest_revision(deployment) is not None:
        return None
    return redirect("deployments:progress", deployment.workspace.slug, deployment.slug)


def progress(request: HttpRequest, deployment: Deployment, head: dict[str, Any]) -> HttpResponse:
    """What the import is doing; the fragment asks again until there is a revision or an error."""
    job = import_for(deployment)
    context = head | {
        "job": job,
        "colour": COLOURS.get(job.state, "none") if job else "bad",
        "at_rest": job is None or job.is_at_rest,
        "asks_for_reason": " and ".join(waiting_for_reason(job)) if job else "",
        "ended": job is not None and job.state in _ENDED,
    }
    partial = request.htmx and not request.htmx.boosted  # type: ignore[attr-defined]
    name = "_importing" if partial else "importing"
    response = render(request, f"deployments/{name}.html", context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
def retry(request: HttpRequest, workspace_slug: str, slug: str) -> HttpResponse:
    """Begins again where the import failed, with an answer for its code where one is given."""
    workspace = workspace_for(request, workspace_slug)
    deployment = find_deployment(workspace, slug)
    require(request.user, "model.create", workspace)
    require(request.user, "deployment.change", workspace)
    assert isinstance(request.user, User)
    reason = request.POST.get("reason", "")[:500]
    if reason:
        require(request.user, "scan.override", workspace)
    job = import_for(deployment)
    if job is None:
        messages.error(request, "Its import is gone; delete the deployment and make it again.")
    else:
        try:
            try_again(job=job, by=request.user, reason=reason)
        except DomainError as error:
            messages.error(request, error.message)
    return redirect("deployments:progress", workspace_slug, slug)

"""The page of a deployment's tokens."""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import services as accounts
from apps.accounts.access import require, workspace_for
from apps.accounts.forms import TokenForm
from apps.accounts.selectors import state_of, tokens_of
from apps.deployments.models import Deployment
from apps.deployments.selectors import (
    condition,
    find_deployment,
    newest_revision,
    ordered_example,
)
from apps.deployments.transformers import input_metadata


@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request, workspace_slug, slug):
    """Lists tokens and issues one; its text stands in the answer to this POST, nowhere else."""
    action = "token.manage" if request.method == "POST" else "workspace.view"
    deployment = _load(request, workspace_slug, slug, action)
    form = TokenForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _show(request, deployment, form, 400 if form.errors else 200)
    token, text = accounts.issue_token(
        workspace=deployment.workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"],
        expires_at=form.expires_at(timezone.now()),
        by=request.user,
    )
    made = {"made": token, "text": text} | _call(deployment)
    return _show(request, deployment, TokenForm(), 201, made)


@require_POST
def token_revoke(request, workspace_slug, slug, identifier: UUID):
    deployment = _load(request, workspace_slug, slug, "token.manage")
    token = tokens_of(deployment.id).filter(pk=identifier).first()
    if token is None:
        raise Http404("This deployment has no such token.")
    accounts.revoke_token(token=token, by=request.user.actor, now=timezone.now())
    messages.success(request, f"{token.name} is revoked: it stops working within two seconds.")
    return redirect("deployments:tokens", workspace_slug, slug)


def _show(
    request: HttpRequest,
    deployment: Deployment,
    form: TokenForm,
    status: int,
    made: dict[str, Any] | None = None,
) -> HttpResponse:
    now = timezone.now()
    rows = [{"token": each, "state": state_of(each, now)} for each in tokens_of(deployment.id)]
    context = _head(deployment) | {"rows": rows, "form": form} | (made or {})
    return render(request, "deployments/tokens.html", context, status=status)


def _call(deployment: Deployment) -> dict[str, str]:
    """What the ready line needs: the address and an example body, quoted for a shell."""
    revision = deployment.active_revision or newest_revision(deployment)
    example = json.dumps(ordered_example(input_metadata(revision))) if revision else "{}"
    path = f"/workspaces/{deployment.workspace.slug}/deployments/{deployment.slug}/predict"
    return {
        "example_shell": example.replace("'", "'\\''"),
        "url": f"{settings.BASE_URL}{path}",
    }


def _load(request: HttpRequest, workspace_slug: str, slug: str, action: Any) -> Deployment:
    workspace = workspace_for(request, workspace_slug)
    deployment = find_deployment(workspace, slug)
    require(request.user, action, workspace)
    return deployment


def _head(deployment: Deployment) -> dict[str, Any]:
    return {
        "deployment": deployment,
        "condition": condition(deployment),
        "tab": "tokens",
        "section": "deployments",
    }

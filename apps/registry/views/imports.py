"""Pages of imports: begun from the upload flow, followed, cancelled, tried again."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.access import Action, require, workspace_for
from apps.core.errors import DomainError
from apps.registry.forms import show_refusal
from apps.registry.imports import services
from apps.registry.models import Import
from apps.registry.selectors import find_import, find_model, imports_of
from apps.registry.source_forms import FORMS
from apps.registry.views.frame import show
from apps.registry.views.source_tabs import tabs

COLOURS = {"pending": "none", "running": "warn", "done": "good", "failed": "bad"}
_MOST_LISTED = 50


@require_http_methods(["GET", "POST"])
def import_new(request, workspace_slug, kind, model_slug=None):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "model.create", workspace)
    model = find_model(workspace, model_slug) if model_slug else None
    form = FORMS[kind](request.POST or None, workspace=workspace)
    if request.method == "POST" and form.is_valid():
        try:
            job = services.start_import(
                workspace=workspace,
                model=model,
                source=form.source(),
                credential=form.credential_given(),
                by=request.user,
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            return redirect("registry:import", workspace.slug, job.id)
    context = {"form": form, "model": model, "kind": kind, "tabs": tabs(workspace, model, kind)}
    return show(request, "registry/imports/new.html", context, status=400 if form.errors else 200)


@require_GET
def import_list(request, workspace_slug):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "workspace.view", workspace)
    rows = [
        {"job": job, "colour": COLOURS.get(job.state, "none")}
        for job in imports_of(workspace)[:_MOST_LISTED]
    ]
    return show(request, "registry/imports/list.html", {"rows": rows})


@require_GET
def import_detail(request, workspace_slug, identifier: UUID):
    """One import; the fragment asks again until it is at rest, then leads on to the review."""
    job = _load(request, workspace_slug, identifier, "workspace.view")
    partial = request.htmx and not request.htmx.boosted
    if partial and job.draft and job.draft.owner_id == request.user.id:
        address = reverse("registry:draft", args=[workspace_slug, job.draft.id])
        return HttpResponse(headers={"HX-Redirect": address})
    context = {"job": job, "colour": COLOURS.get(job.state, "none")}
    name = "_detail" if partial else "detail"
    response = show(request, f"registry/imports/{name}.html", context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
def import_cancel(request, workspace_slug, identifier: UUID):
    job = _load(request, workspace_slug, identifier, "model.create")
    return _act(request, job, lambda: services.cancel_import(job=job, by=request.user.actor))


@require_POST
def import_retry(request, workspace_slug, identifier: UUID):
    job = _load(request, workspace_slug, identifier, "model.create")
    return _act(request, job, lambda: services.retry_import(job=job, by=request.user.actor))


def _load(request: HttpRequest, slug: str, identifier: UUID, action: Action) -> Import:
    workspace = workspace_for(request, slug)
    require(request.user, action, workspace)
    return find_import(workspace, identifier)


def _act(request: HttpRequest, job: Import, act: Callable[[], None]) -> HttpResponse:
    try:
        act()
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("registry:import", job.workspace.slug, job.id)

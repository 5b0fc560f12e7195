"""Pages of deployments: list, progress, overview, revisions, settings, log."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.access import require as require_right
from apps.accounts.access import rights, workspace_for
from apps.accounts.models import User
from apps.core.errors import DomainError
from apps.deployments import import_views, outside_views, services
from apps.deployments.backends import backend_named
from apps.deployments.backends.base import BackendError
from apps.deployments.backends.offers import LABELS
from apps.deployments.endpoints import MAPPINGS
from apps.deployments.environments.selectors import builds_of
from apps.deployments.explainer_forms import initial_explainer, said_before
from apps.deployments.explainers import Explainer, explainer_of
from apps.deployments.explainers import component_of as explainer_component
from apps.deployments.external import AUTHENTICATIONS
from apps.deployments.forms import AboutForm, RevisionForm
from apps.deployments.import_views import waiting
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.selectors import (
    coming_revision,
    condition,
    deployments_of,
    differences,
    find_deployment,
    newest_revision,
    ordered_example,
    replicas_of,
)
from apps.deployments.services import model_of
from apps.deployments.transformer_forms import initial_of
from apps.deployments.transformers import Transformer, input_metadata, transformer_of
from apps.registry.models import ModelVersion

_LOG_LINES = 400


@require_GET
def deployment_list(request, workspace_slug):
    workspace = workspace_for(request, workspace_slug)
    rows = [
        {"deployment": each, "condition": condition(each), "version": _version(each)}
        for each in deployments_of(workspace)
    ]
    return render(request, "deployments/list.html", {"rows": rows})


@require_GET
def progress(request, workspace_slug, slug):
    """What the newest revision, or the import before it, is doing; asks again until it rests."""
    deployment = _load(request, workspace_slug, slug)
    head = _head(request, deployment, "overview")
    if waiting(deployment):
        return import_views.progress(request, deployment, head)
    revision = _newest(deployment)
    context = head | {
        "revision": revision,
        "stages": _stages(revision),
        "at_rest": revision.state not in Revision.UNDER_WAY,
        "log": _log_of(revision),
        "builds": builds_of(revision),
    }
    partial = request.htmx and not request.htmx.boosted
    response = render(
        request, f"deployments/{'_progress' if partial else 'progress'}.html", context
    )
    response["Vary"] = "HX-Request"
    return response


def _stages(revision: Revision) -> list[dict[str, str]]:
    """The way of a revision, each stage done, current, failed or still to come."""
    names = [
        ("pending", "Waiting for the controller"),
        ("building", "Building the environment of packages"),
        ("starting", "Starting the model server and loading the model"),
        ("checking", "Sending the example input"),
        ("active", "Serving"),
    ]
    if revision.deployment.kind == Deployment.Kind.EXTERNAL:
        del names[1:3]
        names[1] = ("checking", "Calling the endpoint")
    elif all(each.environment_id is None for each in revision.components.all()):
        del names[1]
    order = [state for state, _ in names]
    if revision.state == Revision.State.FAILED:
        stage = "checking" if "example input" in revision.error else "starting"
        if "starting" not in order:
            stage = "checking"
        if "building" in order and revision.error.startswith("Its environment, "):
            stage = "building"
        failed = order.index(stage)
        marks = ["done"] * failed + ["failed"] + ["todo"] * (len(order) - failed - 1)
    else:
        now = order.index(revision.state) if revision.state in order else len(order)
        now = now + 1 if revision.state == Revision.State.ACTIVE else now
        marks = [
            "done" if i < now else "current" if i == now else "todo" for i in range(len(order))
        ]
    return [{"name": n, "state": m} for (_, n), m in zip(names, marks, strict=True)]


@require_GET
def detail(request, workspace_slug, slug):
    deployment = _load(request, workspace_slug, slug)
    if page := waiting(deployment):
        return page
    active = deployment.active_revision
    version = model_of(active or _newest(deployment))
    path = f"/workspaces/{deployment.workspace.slug}/deployments/{deployment.slug}/predict"
    content = ordered_example(input_metadata(active or _newest(deployment)))
    example = json.dumps(content)
    context = _head(request, deployment, "overview") | {
        "path": path,
        "url": f"{settings.BASE_URL}{path}",
        "example": example,
        "example_python": repr(content),
        "example_shell": example.replace("'", "'\\''"),
        "version": version,
        "backend": LABELS[(active or _newest(deployment)).backend],
        "revisions": list(deployment.revisions.all())[:5],
        "revision_count": len(deployment.revisions.all()),
        "transformer": transformer_of(active or _newest(deployment)),
        "explainer": explainer_of(active or _newest(deployment)),
        "explaining": explainer_component(active or _newest(deployment)),
        **_beside(active or _newest(deployment), version),
        "replicas": [_replica_row(each) for each in replicas_of(deployment)],
    }
    return render(request, "deployments/detail.html", context)


def _beside(revision: Revision, version: ModelVersion) -> dict[str, Any]:
    """What a page says of a transformer's steps, or of an endpoint and its health."""
    components = {component.kind: component for component in revision.components.all()}
    transformer = components.get(Component.Kind.TRANSFORMER)
    health = components[Component.Kind.MODEL].health
    seen = health.get("at")
    return {
        "steps": transformer.signature.get("steps", []) if transformer else [],
        "health": health,
        "health_at": datetime.fromisoformat(seen) if seen else None,
        "mapping": MAPPINGS.get(version.source.get("mapping", ""), ""),
        "authentication": AUTHENTICATIONS.get(version.source.get("authentication", ""), ""),
    }


def _replica_row(replica: Replica) -> dict[str, Any]:
    backend = backend_named(replica.component.revision.backend)
    try:
        seen = backend.observe(replica.handle) if replica.handle else None
    except BackendError:
        seen = None
    return {
        "replica": replica,
        "memory": seen.memory_bytes if seen else None,
        "since": timezone.now() - replica.state_at,
        "isolation": replica.handle.get("isolation", {}),
    }


@require_GET
def revisions(request, workspace_slug, slug):
    """What changed from one revision to the next; `?from=1&to=3` compares any two."""
    deployment = _load(request, workspace_slug, slug)
    if page := waiting(deployment):
        return page
    rows = list(deployment.revisions.all())
    known = {str(row.number): row for row in rows}
    left, right = known.get(request.GET.get("from", "")), known.get(request.GET.get("to", ""))
    context = _head(request, deployment, "revisions") | {
        "rows": [
            {
                "revision": row,
                "version": model_of(row),
                "changes": differences(before, row) if before else [],
                "to_restore": differences(rows[0], row),
            }
            for row, before in zip(rows, [*rows[1:], None], strict=True)
        ],
        "left": left or rows[min(1, len(rows) - 1)],
        "right": right or rows[0],
        "compared": differences(left, right) if left and right else None,
    }
    return render(request, "deployments/revisions.html", context)


@require_http_methods(["GET", "POST"])
def revise(request, workspace_slug, slug):
    """A new revision of another version or with other settings."""
    deployment = _load(request, workspace_slug, slug, "deployment.change")
    if page := waiting(deployment):
        return page
    if deployment.kind != Deployment.Kind.MANAGED:
        return outside_views.revise(request, deployment, _head(request, deployment, "revisions"))
    newest = _newest(deployment)
    config = services.config_of(newest)
    initial = dict(newest.settings) | {
        "version": model_of(newest),
        "backend": newest.backend,
        "args": "\n".join(config.get("args", ())),
        "variables": config.get("variableIds", ()),
    }
    initial |= initial_of(newest) | initial_explainer(newest) | said_before(request.GET)
    form = RevisionForm(deployment.workspace, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.create_revision(
                deployment=deployment,
                model_version=form.cleaned_data["version"],
                run=form.run_settings(),
                note=form.cleaned_data["note"],
                backend=form.cleaned_data["backend"] or None,
                config=form.config(),
                transformer=_answered(request, deployment, form),
                explainer=_explaining(request, deployment, form),
                by=request.user,
            )
        except DomainError as error:
            form.add_error(None, error.message)
        else:
            return redirect("deployments:progress", workspace_slug, slug)
    context = _head(request, deployment, "revisions") | {"form": form}
    return render(request, "deployments/revise.html", context, status=400 if form.errors else 200)


def _answered(request: HttpRequest, deployment: Deployment, form: RevisionForm) -> Transformer:
    """The transformer that the form names; who did not answer for it before needs the right to."""
    assert isinstance(request.user, User)
    given = form.transformer_of(form.cleaned_data, request.user)
    kept = transformer_of(_newest(deployment))
    if kept and (kept.artifact, kept.reason) == (given.artifact, given.reason):
        return replace(given, answered_by=kept.answered_by)
    if given.artifact is not None:
        require_right(request.user, "scan.override", deployment.workspace)
    return given


def _explaining(request: HttpRequest, deployment: Deployment, form: RevisionForm) -> Explainer:
    """The explainer that the form names; a module needs an answer as a transformer's does."""
    assert isinstance(request.user, User)
    given = form.explainer_of(form.cleaned_data, request.user)
    kept = explainer_of(_newest(deployment))
    if kept and (kept.module, kept.reason) == (given.module, given.reason):
        return replace(given, answered_by=kept.answered_by)
    if given.module is not None:
        require_right(request.user, "scan.override", deployment.workspace)
    return given


@require_POST
def restore(request, workspace_slug, slug, number):
    deployment = _load(request, workspace_slug, slug, "deployment.change")
    revision = deployment.revisions.filter(number=number).first()
    if revision is None:
        raise Http404("There is no such revision.")
    try:
        services.restore_revision(revision=revision, by=request.user)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("deployments:revisions", workspace_slug, slug)
    return redirect("deployments:progress", workspace_slug, slug)


@require_http_methods(["GET", "POST"])
def edit(request, workspace_slug, slug):
    """Details, start and stop, deletion."""
    deployment = _load(request, workspace_slug, slug)
    allowed = "deployment.change" in rights(request.user, deployment.workspace)
    if request.method == "POST":
        require_right(request.user, "deployment.change", deployment.workspace)
    # The form writes what was typed on its instance, valid or not; the page head shows what is.
    typed = find_deployment(deployment.workspace, str(deployment.id))
    form = AboutForm(request.POST or None, instance=typed)
    if request.method == "POST" and form.is_valid():
        services.change_details(deployment=deployment, by=request.user.actor, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("deployments:settings", workspace_slug, slug)
    context = _head(request, deployment, "settings") | {"form": form, "allowed": allowed}
    return render(request, "deployments/settings.html", context, status=400 if form.errors else 200)


@require_POST
def switch(request, workspace_slug, slug, desired):
    deployment = _load(request, workspace_slug, slug, "deployment.change")
    services.set_desired(deployment=deployment, desired=desired, by=request.user.actor)
    messages.success(request, "Starting." if desired == "running" else "Stopped.")
    return redirect("deployments:detail", workspace_slug, slug)


@require_POST
def delete(request, workspace_slug, slug):
    deployment = _load(request, workspace_slug, slug, "deployment.delete")
    if request.POST.get("name", "").strip() != deployment.name:
        messages.error(request, f"Type {deployment.name} to delete it; nothing was deleted.")
        return redirect("deployments:settings", workspace_slug, slug)
    services.delete_deployment(deployment=deployment, by=request.user.actor, now=timezone.now())
    messages.success(request, f"{deployment.name} is deleted. Its record stays.")
    return redirect("deployments:list", workspace_slug)


@require_GET
def log(request, workspace_slug, slug):
    """The model servers' own words."""
    deployment = _load(request, workspace_slug, slug, "deployment.change")
    if page := waiting(deployment):
        return page
    logs = [{"replica": each, "text": _replica_log(each)} for each in replicas_of(deployment)]
    context = _head(request, deployment, "log") | {"logs": logs}
    partial = request.htmx and not request.htmx.boosted
    response = render(request, f"deployments/{'_log' if partial else 'log'}.html", context)
    response["Vary"] = "HX-Request"
    return response


def _replica_log(replica: Replica) -> str:
    if not replica.handle:
        return replica.message
    return backend_named(replica.component.revision.backend).log(replica.handle, lines=_LOG_LINES)


def _log_of(revision: Revision) -> str:
    if revision.error_log:
        return revision.error_log
    replica = Replica.objects.filter(component__revision=revision).order_by("-state_at").first()
    return _replica_log(replica) if replica else ""


def _load(request, workspace_slug, slug, action="workspace.view") -> Deployment:
    workspace = workspace_for(request, workspace_slug)
    deployment = find_deployment(workspace, slug)
    require_right(request.user, action, workspace)
    return deployment


def _newest(deployment: Deployment) -> Revision:
    """Of a deployment that does not wait for an import."""
    revision = newest_revision(deployment)
    assert revision is not None
    return revision


def _version(deployment: Deployment) -> ModelVersion | None:
    revision = deployment.active_revision or newest_revision(deployment)
    return model_of(revision) if revision else None


def _head(request: HttpRequest, deployment: Deployment, tab: str) -> dict[str, Any]:
    """What the page head and its tabs need."""
    return {
        "deployment": deployment,
        "condition": condition(deployment),
        "coming": coming_revision(deployment),
        "newest": newest_revision(deployment),
        "tab": tab,
        "section": "deployments",
        "progress_url": reverse(
            "deployments:progress", args=[deployment.workspace.slug, deployment.slug]
        ),
    }

"""Uploading an explainer's background or module on the way through a form."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.deployments.explainer_files import (
    backgrounds_in,
    explainers_in,
    take_background,
    take_explainer,
)
from apps.deployments.explainer_forms import BackgroundForm, ExplainerModuleForm
from apps.deployments.way_back import way_back
from apps.registry.services import Upload


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest, workspace_slug: str) -> HttpResponse:
    """Takes a table and goes back to the form that needs it, with what was said there.

    The query holds that: the flow's own, or `for`, the deployment that gets a new revision.
    """
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.create", workspace)
    form = BackgroundForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["background_file"]
        try:
            artifact = take_background(workspace, Upload(file.name, file.chunks()))
        except DomainError as error:
            form.add_error("background_file", error.message)
        else:
            return redirect(
                way_back(
                    request,
                    workspace_slug,
                    step="explainer",
                    field="explainer_background",
                    artifact=str(artifact.id),
                )
            )
    context = {
        "form": form,
        "backgrounds": backgrounds_in(workspace)[:20],
        "back": way_back(request, workspace_slug, step="explainer", field="explainer_background"),
        "section": "deployments",
    }
    status = 400 if form.errors else 200
    return render(request, "deployments/background_new.html", context, status=status)


@require_http_methods(["GET", "POST"])
def upload_module(request: HttpRequest, workspace_slug: str) -> HttpResponse:
    """Takes a module with `explain` and goes back likewise."""
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.create", workspace)
    form = ExplainerModuleForm(request.POST or None, request.FILES or None)
    back = partial(way_back, request, workspace_slug, step="explainer", field="explainer_module")
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["explainer_file"]
        try:
            artifact = take_explainer(workspace, Upload(file.name, file.chunks()))
        except DomainError as error:
            form.add_error("explainer_file", error.message)
        else:
            return redirect(back(artifact=str(artifact.id)))
    context = {
        "form": form,
        "modules": explainers_in(workspace)[:20],
        "back": back(),
        "section": "deployments",
    }
    status = 400 if form.errors else 200
    return render(request, "deployments/explainer_new.html", context, status=status)

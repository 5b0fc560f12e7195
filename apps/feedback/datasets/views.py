"""The page of a deployment's data sets."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.access import require
from apps.core.errors import DomainError
from apps.deployments.import_views import waiting
from apps.deployments.models import Deployment
from apps.feedback.datasets import services
from apps.feedback.datasets.api import sent
from apps.feedback.datasets.forms import DataSetForm
from apps.feedback.datasets.selectors import (
    datasets_of,
    find_dataset,
    find_opt_out,
    opt_outs_of,
)
from apps.predictions.views.loading import head, is_fragment, load_deployment, metadata_of

_SHOWN = 50
_FIELDS = {"to": "end", "from": "start"}


@require_http_methods(["GET", "POST"])
def dataset_list(request, workspace_slug, slug):
    """What was made and is being made; a POST asks for the next version."""
    deployment = load_deployment(request, workspace_slug, slug, "prediction.view")
    if elsewhere := waiting(deployment):
        return elsewhere
    if request.method == "POST":
        require(request.user, "dataset.make", deployment.workspace)
        form = _form(deployment, request.POST)
        if form.is_valid() and _asked(request, deployment, form):
            return redirect("datasets:list", workspace_slug, slug)
        return _render(request, deployment, form, status=400)
    return _render(request, deployment, _form(deployment))


@require_POST
def file(request, workspace_slug, slug, identifier):
    """The file of a data set. A POST, because it is recorded who took it."""
    deployment = load_deployment(request, workspace_slug, slug, "prediction.view")
    dataset = find_dataset(deployment, identifier)
    try:
        return sent(request, dataset, request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("datasets:list", workspace_slug, slug)


@require_POST
def opt_out(request, workspace_slug, slug):
    """Keeps a case out of data sets."""
    deployment = load_deployment(request, workspace_slug, slug, "dataset.make")
    custom_id = request.POST.get("custom_id", "")
    try:
        services.opt_out(
            deployment=deployment,
            custom_id=custom_id,
            by=request.user.actor,
            now=timezone.now(),
        )
    except DomainError as error:
        form, given = _form(deployment), {"custom_id": custom_id, "problem": error.message}
        return _render(request, deployment, form, status=error.status, more=given)
    messages.success(request, "The case is out, and its later predictions will be.")
    return redirect("datasets:list", workspace_slug, slug)


@require_POST
def opt_in(request, workspace_slug, slug, identifier):
    """Lets a case in again."""
    deployment = load_deployment(request, workspace_slug, slug, "dataset.make")
    opted_out = find_opt_out(deployment, identifier)
    services.opt_in(opted_out=opted_out, by=request.user.actor, now=timezone.now())
    messages.success(request, "The case may be in later data sets.")
    return redirect("datasets:list", workspace_slug, slug)


def _form(deployment: Deployment, data: Any = None) -> DataSetForm:
    labels = list(metadata_of(deployment).get("predictionClasses") or {})
    return DataSetForm(deployment, labels, data)


def _asked(request: HttpRequest, deployment: Deployment, form: DataSetForm) -> bool:
    try:
        services.ask_for_dataset(
            deployment=deployment,
            settings=form.settings,
            by=request.user.actor,  # type: ignore[union-attr]
            now=timezone.now(),
        )
    except DomainError as error:
        fields = [_FIELDS.get(each["field"], each["field"]) for each in error.errors]
        form.add_error(fields[0] if fields else None, error.message)
        return False
    return True


def _render(
    request: HttpRequest,
    deployment: Deployment,
    form: DataSetForm,
    *,
    status: int = 200,
    more: dict[str, Any] | None = None,
) -> HttpResponse:
    datasets = list(datasets_of(deployment)[:_SHOWN])
    context = head(deployment, "feedback") | {
        "form": form,
        "datasets": datasets,
        "is_under_way": any(each.is_under_way for each in datasets),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
        "opt_outs": opt_outs_of(deployment)[:_SHOWN],
    }
    template = "_rows" if is_fragment(request) else "list"
    response = render(
        request, f"feedback/datasets/{template}.html", context | (more or {}), status=status
    )
    response["Vary"] = "HX-Request"
    return response

"""Pages of model versions."""

import json

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.registry import cards, compatibility, services
from apps.registry.downloads import download
from apps.registry.features import example_in_order, feature_rows
from apps.registry.forms import PROBLEMS, CardsForm, OverrideForm, show_refusal
from apps.registry.models import ModelVersion
from apps.registry.selectors import find_model, find_version, uses_of
from apps.registry.views.frame import show


def _version(request, workspace_slug, model_slug, number, action) -> ModelVersion:
    workspace = workspace_for(request, workspace_slug)
    require(request.user, action, workspace)
    return find_version(find_model(workspace, model_slug), str(number))


@require_GET
def version_detail(request, workspace_slug, model_slug, number):
    version = _version(request, workspace_slug, model_slug, number, "workspace.view")
    return _page(request, version, OverrideForm())


def _page(request, version, override, status=200):
    metadata = version.metadata
    findings = version.scan.get("findings", [])
    context = {
        "version": version,
        "model": version.model,
        "features": feature_rows(version),
        "problem": dict(PROBLEMS)[metadata.get("problemType") or ""],
        "classes": (metadata.get("predictionClasses") or {}).items(),
        "example_input": _pretty(example_in_order(metadata)),
        "example_output": _pretty(metadata.get("exampleOutput")),
        "model_card": cards.render(version.model_card),
        "data_card": cards.render(version.data_card),
        "risky": [found for found in findings if found["level"] != "low"],
        "harmless": [found for found in findings if found["level"] == "low"],
        "warning": compatibility.warning(
            version.framework, version.format, version.framework_version
        ),
        "uses": uses_of([version]),
        "reference": getattr(version, "reference", None),
        "override": override,
    }
    return show(request, "registry/version_detail.html", context, status=status)


@require_http_methods(["GET", "POST"])
def cards_edit(request, workspace_slug, model_slug, number):
    version = _version(request, workspace_slug, model_slug, number, "model.document")
    start = {"model_card": version.model_card, "data_card": version.data_card}
    form = CardsForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            services.edit_cards(version=version, by=request.user.actor, **form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, "The cards are saved.")
            return redirect("registry:version_detail", workspace_slug, model_slug, number)
    context = {"version": version, "model": version.model, "form": form}
    return show(request, "registry/cards_edit.html", context)


@require_GET
def artifact(request, workspace_slug, model_slug, number):
    version = _version(request, workspace_slug, model_slug, number, "model.create")
    if version.artifact is None:
        raise Http404("This version has no file here.")
    return download(version.artifact)


@require_POST
def scan_override(request, workspace_slug, model_slug, number):
    version = _version(request, workspace_slug, model_slug, number, "scan.override")
    form = OverrideForm(request.POST)
    if form.is_valid():
        try:
            services.override_scan(
                version=version, reason=form.cleaned_data["reason"], by=request.user
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"{version} may be deployed now.")
            return redirect("registry:version_detail", workspace_slug, model_slug, number)
    return _page(request, version, form, status=400)


@require_POST
def version_delete(request, workspace_slug, model_slug, number):
    version = _version(request, workspace_slug, model_slug, number, "model.create")
    try:
        services.delete_version(version=version, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("registry:version_detail", workspace_slug, model_slug, number)
    messages.success(request, f"Version {number} was deleted.")
    return redirect("registry:model_detail", workspace_slug, model_slug)


def _pretty(value):
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)

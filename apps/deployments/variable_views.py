"""The page of a workspace's environment variables."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.access import require, workspace_for
from apps.accounts.models import Workspace
from apps.core.errors import DomainError
from apps.deployments import variables as services
from apps.deployments.variable_forms import ValueForm, VariableForm


@never_cache
@require_http_methods(["GET", "POST"])
def variables(request, workspace_slug):
    """Lists variables; a POST adds one."""
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.change", workspace)
    form = VariableForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_variable(
                workspace=workspace, by=request.user, **form.cleaned_data
            )
        except DomainError as error:
            _refuse(form, error)
        else:
            messages.success(request, f"{made} is kept. Choose it when you deploy a custom image.")
            return redirect("deployments:variables", workspace.slug)
    return _show(request, workspace, form)


@require_POST
def variable_replace(request, workspace_slug, identifier: UUID):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.change", workspace)
    variable = services.find_variable(workspace, identifier)
    form = ValueForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError("Nothing was changed: say the new value.")
        services.replace_value(
            variable=variable, value=form.cleaned_data["value"], by=request.user.actor
        )
    except DomainError as error:
        messages.error(request, error.message)
    else:
        text = f"{variable} has a new value. Containers that run keep the old one until they start."
        messages.success(request, text)
    return redirect("deployments:variables", workspace.slug)


@require_POST
def variable_delete(request, workspace_slug, identifier: UUID):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.change", workspace)
    variable = services.find_variable(workspace, identifier)
    try:
        services.delete_variable(variable=variable, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{variable} is deleted.")
    return redirect("deployments:variables", workspace.slug)


def _show(request: HttpRequest, workspace: Workspace, form: forms.Form) -> HttpResponse:
    used = services.uses_of(workspace)
    rows = [
        {"variable": each, "used": used.get(str(each.id), [])}
        for each in workspace.variables.select_related("created_by")
    ]
    context: dict[str, Any] = {"rows": rows, "form": form, "tab": "variables"}
    context |= {"replace": ValueForm(auto_id=False), "section": "members"}
    status = 400 if form.errors else 200
    return render(request, "deployments/variables.html", context, status=status)


def _refuse(form: forms.Form, error: DomainError) -> None:
    for fault in error.errors or [{"field": "", "message": error.message}]:
        form.add_error(fault["field"] or None, fault["message"])

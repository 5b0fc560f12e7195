"""Pages that make deployments which do not run here, and their revisions."""

from typing import Any

from django import forms
from django.db import transaction
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.access import require, workspace_for
from apps.accounts.models import User, Workspace
from apps.core.errors import DomainError
from apps.deployments import external, services
from apps.deployments.models import Deployment
from apps.deployments.outside_forms import (
    AboutFields,
    EndpointFields,
    EndpointRevisionForm,
    EntryRevisionForm,
    NewEndpointForm,
    NewEntryForm,
)
from apps.deployments.services import model_of

_NEW = {
    "endpoint": (NewEndpointForm, "Connect an endpoint", "Connect it"),
    "registration": (NewEntryForm, "Register a model", "Register it"),
}


@require_http_methods(["GET", "POST"])
def new(request, workspace_slug, kind):
    """An external deployment, or an inventory entry."""
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "deployment.create", workspace)
    kind_of_form, title, button = _NEW[kind]
    form = kind_of_form(workspace, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = _create(workspace, form, request.user)
        except DomainError as error:
            show(form, error)
        else:
            page = "progress" if kind == "endpoint" else "detail"
            return redirect(f"deployments:{page}", workspace.slug, made.slug)
    context = {
        "form": form,
        "kind": kind,
        "title": title,
        "button": button,
        "section": "deployments",
    }
    status = 400 if form.errors else 200
    return render(request, "deployments/outside_new.html", context, status=status)


@transaction.atomic
def _create(workspace: Workspace, form: Any, user: User) -> Deployment:
    """All or nothing: what is refused leaves no new use case behind."""
    data = form.cleaned_data
    use_case = data["use_case"] or services.create_use_case(
        workspace=workspace, name=data["new_use_case"], risk=data["risk"], by=user
    )
    common = {
        "workspace": workspace,
        "name": data["name"],
        "description": data["description"],
        "use_case": use_case,
        "about": form.about(),
        "by": user,
    }
    if isinstance(form, NewEntryForm):
        return external.create_registration(**common, place=data["place"])
    return external.create_external(**common, wish=form.wish(), durability=data["durability"])


def revise(request, deployment: Deployment, head: dict[str, Any]):
    """A new revision; `head` is what the deployment's pages show at their top."""
    last = model_of(deployment.revisions.all()[0])
    form = _revision_form(deployment, last, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _make_revision(deployment, form, request.user)
        except DomainError as error:
            show(form, error)
        else:
            page = "progress" if deployment.kind == Deployment.Kind.EXTERNAL else "detail"
            return redirect(f"deployments:{page}", deployment.workspace.slug, deployment.slug)
    context = head | {"form": form, "outside": True}
    return render(request, "deployments/revise.html", context, status=400 if form.errors else 200)


def _revision_form(deployment: Deployment, last: Any, posted: Any) -> Any:
    initial = AboutFields.about_initial(last)
    if deployment.kind == Deployment.Kind.REGISTRATION:
        return EntryRevisionForm(posted, initial=initial | {"place": last.source.get("place", "")})
    form = EndpointRevisionForm(posted, initial=initial | EndpointFields.wish_initial(last))
    if last.credential_id:
        form.fields["password"].help_text = "Empty keeps the stored one for this address and name."
    return form


def _make_revision(deployment: Deployment, form: Any, user: User) -> None:
    about, note = form.about(), form.cleaned_data["note"]
    if isinstance(form, EntryRevisionForm):
        external.revise_registration(
            deployment=deployment,
            about=about,
            place=form.cleaned_data["place"],
            note=note,
            by=user,
        )
    else:
        external.revise_external(
            deployment=deployment, wish=form.wish(), about=about, note=note, by=user
        )


def show(form: forms.Form, error: DomainError) -> None:
    """Puts a refusal at the fields that it speaks of."""
    for each in error.errors:
        name = each["field"]
        form.add_error(name if name in form.fields else None, each["message"])
    if not error.errors:
        form.add_error(None, error.message)

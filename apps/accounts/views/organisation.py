"""Pages of the organisation: people and workspaces. Admins change them, reviewers of the
organisation (governance managers and auditors) read them."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.accounts import invitations, services
from apps.accounts.access import require
from apps.accounts.forms import OrganisationRoleForm, PersonForm, WorkspaceForm, show_refusal
from apps.accounts.models import User
from apps.accounts.selectors import (
    find_person,
    key_pairs_of,
    memberships_of,
    people,
    state_of,
    workspaces_with_counts,
)
from apps.core.errors import DomainError

_PER_PAGE = 50
_SAID = {
    "deactivate": "{} is deactivated: sessions and key pairs have stopped working.",
    "reactivate": "{} is active again.",
    "reset-two-factor": "The second factors of {} are removed, and their sessions ended.",
}


@never_cache
@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def organisation(request):
    """Lists people; a POST invites one."""
    _admit(request)
    form = PersonForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _show_people(request, form, 400 if form.errors else 200)
    try:
        invitation = services.invite_person(by=request.user.actor, **form.cleaned_data)
    except DomainError as error:
        show_refusal(form, error)
        return _show_people(request, form, 400)
    if invitation.link:
        return _show_people(request, PersonForm(), 201, invitation)
    messages.success(request, f"An invitation is on its way to {invitation.user.email}.")
    return redirect("accounts:organisation")


@never_cache
@require_GET
def person(request, identifier: UUID):
    _admit(request)
    return _show_person(request, find_person(identifier))


@require_POST
def person_role(request, identifier: UUID):
    _admit(request)
    found = find_person(identifier)
    form = OrganisationRoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was changed: choose one of the roles.")
        return redirect("accounts:person", found.id)
    role = form.cleaned_data["organisation_role"]
    try:
        services.change_organisation_role(user=found, role=role, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{found}: {found.get_organisation_role_display()}.")
    return redirect("accounts:person", found.id)


@require_POST
def person_act(request, identifier: UUID, act: str):
    """Deactivates, reactivates, or resets the second factors."""
    _admit(request)
    acts = {
        "deactivate": services.deactivate_user,
        "reactivate": services.reactivate_user,
        "reset-two-factor": services.reset_two_factor,
    }
    found = find_person(identifier)
    try:
        acts[act](user=found, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _SAID[act].format(found))
    return redirect("accounts:person", found.id)


@never_cache
@require_POST
def person_invite(request, identifier: UUID):
    """Another invitation for somebody who never signed in."""
    _admit(request)
    found = find_person(identifier)
    try:
        invitation = services.new_invitation_link(user=found, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("accounts:person", found.id)
    if invitation.link:
        return _show_person(request, found, invitation, 201)
    messages.success(request, f"Another invitation is on its way to {found.email}.")
    return redirect("accounts:person", found.id)


@require_POST
def person_key_revoke(request, identifier: UUID, key_identifier: UUID):
    _admit(request)
    found = find_person(identifier)
    key_pair = key_pairs_of(found).filter(pk=key_identifier).first()
    if key_pair is None:
        raise Http404("This person has no such key pair.")
    services.revoke_key_pair(key_pair=key_pair, by=request.user.actor, now=timezone.now())
    messages.success(request, f"{key_pair.name} of {found} is revoked.")
    return redirect("accounts:person", found.id)


@require_http_methods(["GET", "POST"])
def workspaces(request):
    """Lists workspaces; a POST makes one."""
    _admit(request)
    form = WorkspaceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_workspace(by=request.user.actor, **form.cleaned_data)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"{made} is there; now add its members.")
            return redirect("accounts:members", made.slug)
    context = {
        "form": form,
        "rows": workspaces_with_counts(),
        "section": "organisation",
        "tab": "workspaces",
    }
    status = 400 if form.errors else 200
    return render(request, "accounts/workspaces.html", context, status=status)


def _admit(request: HttpRequest) -> None:
    require(
        request.user,
        "organisation.view" if request.method == "GET" else "organisation.manage",
    )


def _show_people(
    request: HttpRequest,
    form: PersonForm,
    status: int,
    invitation: services.Invitation | None = None,
) -> HttpResponse:
    sought = request.GET.get("q", "").replace("\x00", "").strip()
    page = Paginator(people(sought), _PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "sought": sought}
    if request.htmx and not request.htmx.boosted:  # type: ignore[attr-defined]
        return render(request, "accounts/_people.html", context)
    context |= _invited(invitation) | {"form": form, "section": "organisation", "tab": "people"}
    return render(request, "accounts/organisation.html", context, status=status)


def _show_person(
    request: HttpRequest,
    found: User,
    invitation: services.Invitation | None = None,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    context = _invited(invitation) | {
        "person": found,
        "memberships": memberships_of(found),
        "keys": [{"key": each, "state": state_of(each, now)} for each in key_pairs_of(found)],
        "form": OrganisationRoleForm(initial={"organisation_role": found.organisation_role}),
        "never_came": not found.last_login and not found.has_usable_password(),
        "section": "organisation",
    }
    return render(request, "accounts/person.html", context, status=status)


def _invited(invitation: services.Invitation | None) -> dict[str, Any]:
    return {
        "invitation": invitation,
        "days": invitations.DAYS,
        "is_mailed": invitations.is_mailed(),
    }

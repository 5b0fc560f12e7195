"""Pages of a workspace: who is in it, what it is called."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import invitations, services
from apps.accounts.access import require, visible_workspaces, workspace_for
from apps.accounts.forms import MemberForm, RoleForm, WorkspaceForm, show_refusal
from apps.accounts.models import Membership, Workspace
from apps.accounts.selectors import find_membership, members_of
from apps.core.errors import DomainError


@never_cache
@require_http_methods(["GET", "POST"])
def members(request, workspace_slug):
    """Lists members; a POST adds somebody, and invites them where they have no account."""
    workspace = workspace_for(request, workspace_slug)
    require(
        request.user,
        "member.manage" if request.method == "POST" else "workspace.view",
        workspace,
    )
    form = MemberForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _show(request, workspace, form, 400 if form.errors else 200)
    try:
        invitation = services.invite_member(
            workspace=workspace, by=request.user.actor, **form.cleaned_data
        )
    except DomainError as error:
        show_refusal(form, error)
        return _show(request, workspace, form, 400)
    if invitation.link:
        return _show(request, workspace, MemberForm(), 201, invitation)
    more = f" An invitation is on its way to {invitation.user.email}." * invitation.is_new
    messages.success(request, f"{invitation.user} is a member of {workspace}.{more}")
    return redirect("accounts:members", workspace.slug)


@require_POST
def member_role(request, workspace_slug, identifier: UUID):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "member.manage", workspace)
    membership = find_membership(workspace, identifier)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was changed: choose owner, operator or reviewer.")
        return redirect("accounts:members", workspace.slug)
    try:
        services.change_role(
            membership=membership, role=form.cleaned_data["role"], by=request.user.actor
        )
    except DomainError as error:
        messages.error(request, error.message)
    else:
        role = membership.get_role_display().lower()
        messages.success(request, f"{membership.user} is {role} now.")
    return redirect("accounts:members", workspace.slug)


@require_POST
def member_remove(request, workspace_slug, identifier: UUID):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "member.manage", workspace)
    membership = find_membership(workspace, identifier)
    try:
        services.remove_member(membership=membership, by=request.user.actor)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{membership.user} is no member of {workspace} any more.")
    if not visible_workspaces(request.user).filter(pk=workspace.pk).exists():
        return redirect("/")
    return redirect("accounts:members", workspace.slug)


@require_http_methods(["GET", "POST"])
def workspace_settings(request, workspace_slug):
    """Name and description; members read them, owners change them."""
    workspace = workspace_for(request, workspace_slug)
    require(
        request.user,
        "workspace.manage" if request.method == "POST" else "workspace.view",
        workspace,
    )
    start = {"name": workspace.name, "description": workspace.description}
    form = WorkspaceForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_workspace(
                workspace=workspace, by=request.user.actor, **form.cleaned_data
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("accounts:workspace_settings", workspace.slug)
    context = {"form": form, "section": "members", "tab": "settings"}
    status = 400 if form.errors else 200
    return render(request, "accounts/workspace_settings.html", context, status=status)


def _show(
    request: HttpRequest,
    workspace: Workspace,
    form: MemberForm,
    status: int,
    invitation: services.Invitation | None = None,
) -> HttpResponse:
    context = {
        "members": members_of(workspace),
        "form": form,
        "roles": Membership.Role.choices,
        "invitation": invitation,
        "days": invitations.DAYS,
        "is_mailed": invitations.is_mailed(),
        "section": "members",
        "tab": "members",
    }
    return render(request, "accounts/members.html", context, status=status)

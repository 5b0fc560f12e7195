"""The one place that decides who may do what.

Organisation roles count everywhere: an admin is owner of every workspace, a governance manager
reviewer of every workspace, an auditor reads everything and writes nothing. Whoever may not see
a workspace gets 404 for all in it; whoever sees it and lacks a right gets 403.
"""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from apps.accounts.models import Membership, User, Workspace

Action = Literal[
    "workspace.view",
    "workspace.manage",
    "member.manage",
    "use_case.manage",
    "model.create",
    "model.document",
    "scan.override",
    "credential.manage",
    "deployment.create",
    "deployment.change",
    "deployment.delete",
    "deployment.try",
    "token.manage",
    "prediction.view",
    "prediction.evaluate",
    "prediction.erase",
    "review.manage",
    "reviewer.view",
    "dataset.make",
    "event.view",
    "organisation.view",
    "organisation.manage",
    "organisation.view_log",
    "workspace.create",
]

_REVIEWER: frozenset[Action] = frozenset(
    {
        "workspace.view",
        "model.document",
        "deployment.try",
        "prediction.view",
        "prediction.evaluate",
        "event.view",
    }
)
_OPERATOR: frozenset[Action] = _REVIEWER | {
    "use_case.manage",
    "model.create",
    "scan.override",
    "credential.manage",
    "deployment.create",
    "deployment.change",
    "deployment.delete",
    "token.manage",
    "review.manage",
    "dataset.make",
}
_OWNER: frozenset[Action] = _OPERATOR | {
    "workspace.manage",
    "member.manage",
    "prediction.erase",
    "reviewer.view",
}
_AUDITOR: frozenset[Action] = frozenset({"workspace.view", "prediction.view", "event.view"})
_ORGANISATION_READER: frozenset[Action] = frozenset({"organisation.view", "organisation.view_log"})

_BY_WORKSPACE_ROLE: dict[str, frozenset[Action]] = {
    Membership.Role.OWNER: _OWNER,
    Membership.Role.OPERATOR: _OPERATOR,
    Membership.Role.REVIEWER: _REVIEWER,
}
_EVERYWHERE: dict[str, frozenset[Action]] = {
    User.OrganisationRole.ADMIN: _OWNER
    | _ORGANISATION_READER
    | {"organisation.manage", "workspace.create"},
    User.OrganisationRole.GOVERNANCE: _REVIEWER | _ORGANISATION_READER,
    User.OrganisationRole.AUDITOR: _AUDITOR | _ORGANISATION_READER,
    User.OrganisationRole.USER: frozenset(),
}

AnyUser = User | AnonymousUser


def rights(user: AnyUser, workspace: Workspace | None = None) -> frozenset[Action]:
    """All that `user` may do, in `workspace` where one is given.

    An auditor's membership in a workspace adds nothing: auditors write nothing anywhere.
    """
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    everywhere = _EVERYWHERE[user.organisation_role]
    if workspace is None or user.organisation_role == User.OrganisationRole.AUDITOR:
        return everywhere
    role = user.memberships.filter(workspace=workspace).values_list("role", flat=True).first()
    return everywhere | (_BY_WORKSPACE_ROLE[role] if role else frozenset())


def rights_in(user: User, workspaces: Iterable[Workspace]) -> dict[UUID, frozenset[Action]]:
    """What `user` may do in each of several workspaces, in one query."""
    everywhere = rights(user)
    roles = dict(user.memberships.values_list("workspace_id", "role"))
    if user.organisation_role == User.OrganisationRole.AUDITOR or not user.is_active:
        roles = {}
    return {
        each.id: everywhere | _BY_WORKSPACE_ROLE.get(roles.get(each.id, ""), frozenset())
        for each in workspaces
    }


def rights_of_role(role: str) -> frozenset[Action]:
    """What a workspace or organisation role alone allows."""
    return _BY_WORKSPACE_ROLE.get(role) or _EVERYWHERE.get(role, frozenset())


def can(user: AnyUser, action: Action, workspace: Workspace | None = None) -> bool:
    return action in rights(user, workspace)


def require(user: AnyUser, action: Action, workspace: Workspace | None = None) -> None:
    """Raises PermissionDenied (403) when `user` may not do `action`."""
    if not can(user, action, workspace):
        raise PermissionDenied("You have no right to do this here; ask the workspace's owner.")


def visible_workspaces(user: AnyUser) -> QuerySet[Workspace]:
    """The workspaces that `user` may look into."""
    if not isinstance(user, User) or not user.is_active:
        return Workspace.objects.none()
    if "workspace.view" in _EVERYWHERE[user.organisation_role]:
        return Workspace.objects.all()
    return Workspace.objects.filter(memberships__user=user)


def workspace_for(request: HttpRequest, slug: str) -> Workspace:
    """The workspace of the URL, noted on the request for the frame; Http404 to strangers."""
    workspace = visible_workspaces(request.user).filter(slug=slug).first()
    if workspace is None:
        raise Http404("There is no such workspace, or you are not a member of it.")
    request.workspace = workspace  # type: ignore[attr-defined]
    return workspace


def find_workspace(user: AnyUser, key: str) -> Workspace:
    """The workspace with this id or slug, as the API names it; Http404 to strangers."""
    workspaces = visible_workspaces(user)
    try:
        workspace = workspaces.filter(id=UUID(key)).first()
    except ValueError:
        workspace = workspaces.filter(slug=key).first()
    if workspace is None:
        raise Http404("There is no such workspace.")
    return workspace

"""Who may do what, in one table."""

import pytest
from django.http import Http404
from django.test import RequestFactory

from apps.accounts.access import can, rights, visible_workspaces, workspace_for
from apps.accounts.models import Membership, User, Workspace


@pytest.mark.parametrize(
    ("persona", "action", "allowed"),
    [
        ("owner", "member.manage", True),
        ("owner", "deployment.create", True),
        ("operator", "deployment.create", True),
        ("operator", "member.manage", False),
        ("reviewer", "deployment.create", False),
        ("reviewer", "prediction.evaluate", True),
        ("governance", "prediction.evaluate", True),
        ("operator", "review.manage", True),
        ("reviewer", "review.manage", False),
        ("governance", "review.manage", False),
        ("governance", "deployment.create", False),
        ("governance", "organisation.view_log", True),
        ("auditor", "prediction.view", True),
        ("auditor", "prediction.evaluate", False),
        ("admin", "organisation.manage", True),
        ("admin", "member.manage", True),
        ("outsider", "workspace.view", False),
    ],
)
def test_rights(
    persona: str, action: str, allowed: bool, workspace: Workspace, request: pytest.FixtureRequest
) -> None:
    assert can(request.getfixturevalue(persona), action, workspace) is allowed


def test_a_membership_gives_an_auditor_no_right_to_write(
    auditor: User, workspace: Workspace
) -> None:
    Membership.objects.create(workspace=workspace, user=auditor, role="owner")
    assert "deployment.create" not in rights(auditor, workspace)


def test_a_deactivated_person_has_no_rights(owner: User, workspace: Workspace) -> None:
    owner.is_active = False
    assert rights(owner, workspace) == frozenset()
    assert not visible_workspaces(owner).exists()


def test_a_foreign_workspace_is_like_none(outsider: User, workspace: Workspace) -> None:
    request = RequestFactory().get("/")
    request.user = outsider
    with pytest.raises(Http404):
        workspace_for(request, workspace.slug)
    with pytest.raises(Http404):
        workspace_for(request, "nothing")

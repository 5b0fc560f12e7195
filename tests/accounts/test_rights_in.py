"""Rights in several workspaces at once are those of each."""

import pytest

from apps.accounts.access import rights, rights_in
from apps.accounts.models import Membership, User, Workspace

PERSONAS = ["owner", "operator", "reviewer", "outsider", "admin", "governance", "auditor"]


@pytest.mark.parametrize("persona", PERSONAS)
def test_they_are_the_rights_in_each(
    persona: str,
    workspace: Workspace,
    other_workspace: Workspace,
    request: pytest.FixtureRequest,
) -> None:
    user: User = request.getfixturevalue(persona)
    found = rights_in(user, [workspace, other_workspace])
    assert found == {each.id: rights(user, each) for each in (workspace, other_workspace)}


def test_a_membership_adds_nothing_to_an_auditor(auditor: User, workspace: Workspace) -> None:
    Membership.objects.create(workspace=workspace, user=auditor, role="owner")
    assert rights_in(auditor, [workspace])[workspace.id] == rights(auditor, workspace)


def test_a_person_who_left_has_none(owner: User, workspace: Workspace) -> None:
    owner.is_active = False
    assert rights_in(owner, [workspace]) == {workspace.id: frozenset()}

"""Members and credentials."""

from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts import credentials, services
from apps.accounts.models import DeploymentToken, User, Workspace
from apps.audit.actor import SYSTEM
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid


def issue(workspace: Workspace, owner: User) -> tuple[DeploymentToken, str]:
    return services.issue_token(
        workspace=workspace,
        deployment_id=uuid4(),
        deployment_name="Credit risk",
        name="Branch portal",
        scopes=["predict"],
        by=owner,
    )


def test_a_token_is_kept_as_a_hash_only(workspace: Workspace, owner: User) -> None:
    token, text = issue(workspace, owner)
    assert text.startswith("DPT")
    assert bytes(token.secret_hash) == credentials.hash_secret(text)
    assert text not in str(DeploymentToken.objects.values().get())
    assert text not in str(list(Event.objects.values()))


def test_a_token_needs_a_known_scope(workspace: Workspace, owner: User) -> None:
    with pytest.raises(Invalid, match="at least one scope"):
        services.issue_token(
            workspace=workspace,
            deployment_id=uuid4(),
            deployment_name="x",
            name="x",
            scopes=["everything"],
            by=owner,
        )


def test_revoking_twice_records_one_event(workspace: Workspace, owner: User) -> None:
    token, _ = issue(workspace, owner)
    for _ in range(2):
        services.revoke_token(token=token, by=owner.actor, now=timezone.now())
    assert Event.objects.filter(name="token.revoked").count() == 1


def test_the_last_owner_stays(workspace: Workspace, owner: User) -> None:
    membership = owner.memberships.get()
    with pytest.raises(Conflict, match="last owner"):
        services.remove_member(membership=membership, by=SYSTEM)
    with pytest.raises(Conflict, match="last owner"):
        services.change_role(membership=membership, role="reviewer", by=SYSTEM)


def test_an_owner_may_go_when_another_stays(
    workspace: Workspace, owner: User, operator: User
) -> None:
    services.change_role(membership=operator.memberships.get(), role="owner", by=owner.actor)
    services.remove_member(membership=owner.memberships.get(), by=owner.actor)
    assert not workspace.memberships.filter(user=owner).exists()


def test_a_user_call_is_good_for_its_user_and_deployment(owner: User) -> None:
    deployment = uuid4()
    text = credentials.sign_user_call(owner.id, deployment)
    assert credentials.read_user_call(text) == (owner.id, deployment)
    assert credentials.read_user_call(text + "x") is None
    assert credentials.read_user_call(text, max_age_seconds=-1) is None


@pytest.mark.django_db(transaction=True)
def test_gateways_are_told_of_whatever_changes_who_may_call() -> None:
    person = User.objects.create_user("p@example.org", None)
    acts = [
        lambda: services.deactivate_user(user=person, by=SYSTEM),
        lambda: services.reactivate_user(user=person, by=SYSTEM),
        lambda: services.change_organisation_role(user=person, role="auditor", by=SYSTEM),
        lambda: services.create_key_pair(user=person, name="CI"),
    ]
    with connection.cursor() as cursor:
        cursor.execute("LISTEN deeploy_credentials")
    for act in acts:
        act()
        assert list(connection.connection.notifies(timeout=2, stop_after=1))
    with connection.cursor() as cursor:
        cursor.execute("UNLISTEN deeploy_credentials")


def test_an_inactive_owner_does_not_count(workspace: Workspace, owner: User, admin: User) -> None:
    other = User.objects.create_user("o@example.org", None, is_active=False)
    services.add_member(workspace=workspace, user=other, role="owner", by=SYSTEM)
    with pytest.raises(Conflict, match="last owner"):
        services.remove_member(membership=owner.memberships.get(), by=SYSTEM)

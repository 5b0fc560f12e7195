"""Changes to who is in a workspace, and as what."""

from django.db import transaction

from apps.accounts.models import Membership, User, Workspace
from apps.accounts.services.notify import notify_credentials
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict


@transaction.atomic
def add_member(*, workspace: Workspace, user: User, role: str, by: Actor) -> Membership:
    """Gives `user` a role; raises Conflict where they have one."""
    if Membership.objects.filter(workspace=workspace, user=user).exists():
        raise Conflict(f"{user} is a member of {workspace} already; change the role instead.")
    membership = Membership.objects.create(workspace=workspace, user=user, role=role)
    _record_member("member.added", membership, by, {"role": role})
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: Actor) -> None:
    """Raises Conflict where the workspace would lose its last owner."""
    old = membership.role
    if role == old:
        return
    if old == Membership.Role.OWNER:
        _keep_an_owner(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    _record_member("member.role_changed", membership, by, {"from": old, "to": role})


@transaction.atomic
def remove_member(*, membership: Membership, by: Actor) -> None:
    """Raises Conflict where the workspace would lose its last owner."""
    if membership.role == Membership.Role.OWNER:
        _keep_an_owner(membership)
    _record_member("member.removed", membership, by, {"role": membership.role})
    membership.delete()


def _keep_an_owner(membership: Membership) -> None:
    others = Membership.objects.select_for_update(of=["self"]).filter(
        workspace=membership.workspace, role=Membership.Role.OWNER, user__is_active=True
    )
    if not [other for other in others if other.pk != membership.pk]:
        raise Conflict(
            f"{membership.user} is the last owner of {membership.workspace}; "
            "make another member owner first."
        )


def _record_member(name: str, membership: Membership, by: Actor, data: dict[str, str]) -> None:
    audit.record(
        name=name,
        by=by,
        workspace_id=membership.workspace_id,
        object_type="workspace",
        object_id=membership.workspace_id,
        object_name=str(membership.workspace),
        data=data | {"user": str(membership.user_id), "userName": str(membership.user)},
    )
    notify_credentials()

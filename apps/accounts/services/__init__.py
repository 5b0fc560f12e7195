"""Changes to people, workspaces and credentials, each with its event."""

from apps.accounts.services.key_pairs import create_key_pair, revoke_key_pair
from apps.accounts.services.members import add_member, change_role, remove_member
from apps.accounts.services.notify import notify_credentials
from apps.accounts.services.people import (
    Invitation,
    change_organisation_role,
    change_person,
    deactivate_user,
    invite_member,
    invite_person,
    new_invitation_link,
    reactivate_user,
    reset_two_factor,
)
from apps.accounts.services.tokens import (
    issue_token,
    revoke_token,
    revoke_tokens_of_deployment,
)
from apps.accounts.services.workspaces import change_workspace, create_workspace

__all__ = [
    "Invitation",
    "add_member",
    "change_organisation_role",
    "change_person",
    "change_role",
    "change_workspace",
    "create_key_pair",
    "create_workspace",
    "deactivate_user",
    "invite_member",
    "invite_person",
    "issue_token",
    "new_invitation_link",
    "notify_credentials",
    "reactivate_user",
    "remove_member",
    "reset_two_factor",
    "revoke_key_pair",
    "revoke_token",
    "revoke_tokens_of_deployment",
]

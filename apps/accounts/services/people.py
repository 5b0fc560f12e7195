"""Changes to people: invitations, organisation roles, who may come in at all."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.db import transaction
from django_q.tasks import async_task

from apps.accounts import invitations
from apps.accounts.models import User, Workspace
from apps.accounts.services.members import add_member
from apps.accounts.services.notify import notify_credentials
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict


@dataclass(frozen=True, slots=True)
class Invitation:
    """What became of an e-mail address: `link` is there where no mail server could carry it."""

    user: User
    is_new: bool
    link: str = ""


@transaction.atomic
def invite_person(
    *,
    email: str,
    by: Actor,
    name: str = "",
    organisation_role: str = User.OrganisationRole.USER,
    workspace: Workspace | None = None,
) -> Invitation:
    """Makes an account without a password and sends the link that sets one.

    Where no mail server is set up the answer carries the link, to be shown once to whoever
    invites; the event says so. Raises Conflict where the address has an account.
    """
    if User.objects.filter(email__iexact=email).exists():
        raise Conflict(f"{email} has an account already.")
    user = User.objects.create_user(email, None, name=name, organisation_role=organisation_role)
    data = {"email": user.email, "role": organisation_role, "link": invitations.way()}
    _record("person.invited", user, by, data)
    workspace_name = workspace.name if workspace else ""
    return _invitation(user, by.name, workspace_name, is_new=True)


@transaction.atomic
def invite_member(
    *, workspace: Workspace, email: str, role: str, by: Actor, name: str = ""
) -> Invitation:
    """Adds the person of this address to a workspace, and invites them first where new.

    Somebody who has an account gets no link. Raises Conflict where they are a member already or
    were deactivated.
    """
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        invitation = invite_person(email=email, name=name, by=by, workspace=workspace)
    elif not user.is_active:
        raise Conflict(f"{user} was deactivated; an admin of the organisation can reactivate them.")
    else:
        invitation = Invitation(user, is_new=False)
    add_member(workspace=workspace, user=invitation.user, role=role, by=by)
    return invitation


@transaction.atomic
def new_invitation_link(*, user: User, by: Actor) -> Invitation:
    """Another link for somebody who never signed in; raises Conflict for everybody else."""
    if not user.is_active or user.last_login or user.has_usable_password():
        raise Conflict(f"{user} has set a password already and can reset it on the sign-in page.")
    _record("person.invited_again", user, by, {"link": invitations.way()})
    return _invitation(user, by.name, "", is_new=False)


@transaction.atomic
def change_person(
    *, user: User, by: Actor, organisation_role: str | None = None, is_active: bool | None = None
) -> None:
    """Changes what is given, all or nothing; refuses as the single acts do."""
    if organisation_role is not None:
        change_organisation_role(user=user, role=organisation_role, by=by)
    if is_active is not None:
        (reactivate_user if is_active else deactivate_user)(user=user, by=by)


@transaction.atomic
def change_organisation_role(*, user: User, role: str, by: Actor) -> None:
    """Raises Conflict where the organisation would lose its last active admin."""
    old = user.organisation_role
    if role == old:
        return
    if old == User.OrganisationRole.ADMIN:
        _keep_an_admin(user)
    user.organisation_role = role
    user.save(update_fields=["organisation_role"])
    _record("person.role_changed", user, by, {"from": old, "to": role})
    notify_credentials()


@transaction.atomic
def deactivate_user(*, user: User, by: Actor) -> None:
    """Ends a person's access at once: sessions, key pairs, and calls on the data plane.

    Memberships and what they did stay. Raises Conflict for oneself and for the last admin.
    """
    if by.kind == "user" and by.id == str(user.id):
        raise Conflict("You cannot deactivate yourself; ask another admin.")
    if not user.is_active:
        return
    if user.organisation_role == User.OrganisationRole.ADMIN:
        _keep_an_admin(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    _end_sessions(user.id)
    _record("person.deactivated", user, by, {})
    notify_credentials()


@transaction.atomic
def reactivate_user(*, user: User, by: Actor) -> None:
    """Lets a person in again, with the memberships and key pairs that they had."""
    if user.is_active:
        return
    user.is_active = True
    user.save(update_fields=["is_active"])
    _record("person.reactivated", user, by, {})
    notify_credentials()


@transaction.atomic
def reset_two_factor(*, user: User, by: Actor) -> None:
    """Removes a person's second factors and passkeys and ends their sessions, for a lost device.

    Raises Conflict where there are none.
    """
    removed = Authenticator.objects.filter(user=user)
    kinds = sorted(removed.values_list("type", flat=True))
    if not kinds:
        raise Conflict(f"{user} has no second factor to reset.")
    removed.delete()
    _end_sessions(user.id)
    _record("person.two_factor_reset", user, by, {"removed": kinds})


def _invitation(user: User, inviter: str, workspace: str, *, is_new: bool) -> Invitation:
    transaction.on_commit(
        lambda: async_task("apps.accounts.tasks.send_invitation", str(user.id), inviter, workspace)
    )
    link = "" if invitations.is_mailed() else invitations.link_for(user)
    return Invitation(user, is_new=is_new, link=link)


def _keep_an_admin(user: User) -> None:
    admins = User.objects.select_for_update().filter(
        organisation_role=User.OrganisationRole.ADMIN, is_active=True
    )
    if not [other for other in admins if other.pk != user.pk]:
        raise Conflict(f"{user} is the last admin; make another person admin first.")


def _end_sessions(user_id: UUID) -> None:
    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(user_id):
            session.delete()


def _record(name: str, user: User, by: Actor, data: dict[str, Any]) -> None:
    audit.record(
        name=name,
        by=by,
        object_type="user",
        object_id=user.id,
        object_name=str(user),
        data=data,
    )

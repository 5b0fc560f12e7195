"""What pages and the API read of people, workspaces and credentials."""

from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import Http404

from apps.accounts.models import (
    Credential,
    DeploymentToken,
    KeyPair,
    Membership,
    User,
    Workspace,
)


def members_of(workspace: Workspace) -> QuerySet[Membership]:
    """The members of a workspace by name, with their people."""
    return workspace.memberships.select_related("user").order_by("user__name", "user__email")


def find_membership(workspace: Workspace, identifier: UUID) -> Membership:
    """The membership with this id, or of the person with this id. Raises Http404."""
    found = members_of(workspace).filter(Q(pk=identifier) | Q(user_id=identifier)).first()
    if found is None:
        raise Http404("There is no such member in this workspace.")
    return found


def memberships_of(user: User) -> QuerySet[Membership]:
    """The workspaces of a person with their role in each, by name."""
    return user.memberships.select_related("workspace").order_by("workspace__name")


def people(search: str = "") -> QuerySet[User]:
    """Everybody in the organisation with `has_two_factor` and `workspace_count`."""
    factors = Authenticator.objects.filter(user=OuterRef("pk"))
    found = User.objects.annotate(
        has_two_factor=Exists(factors), workspace_count=Count("memberships")
    )
    if search:
        found = found.filter(Q(name__icontains=search) | Q(email__icontains=search))
    return found.order_by("-is_active", "name", "email")


def find_person(identifier: UUID) -> User:
    """Raises Http404."""
    person = people().filter(pk=identifier).first()
    if person is None:
        raise Http404("There is no such person in this organisation.")
    return person


def workspaces_with_counts() -> QuerySet[Workspace]:
    """All workspaces with `member_count`, and their owners as `owners`."""
    owners = Membership.objects.filter(role=Membership.Role.OWNER).select_related("user")
    return Workspace.objects.annotate(member_count=Count("memberships")).prefetch_related(
        Prefetch("memberships", owners, to_attr="owners")
    )


def tokens_of(deployment_id: UUID) -> QuerySet[DeploymentToken]:
    """The tokens of a deployment, newest first, those that work before those that do not."""
    return (
        DeploymentToken.objects.filter(deployment_id=deployment_id)
        .select_related("created_by")
        .order_by("-revoked_at", "-created_at")
    )


def key_pairs_of(user: User) -> QuerySet[KeyPair]:
    """A person's own key pairs, newest first, those that work before those that do not."""
    return user.key_pairs.order_by("-revoked_at", "-created_at")


def state_of(credential: Credential, now: datetime) -> dict[str, Any]:
    """`word` and `kind` for a pill: Active, Expired or Revoked."""
    if credential.revoked_at:
        return {"word": "Revoked", "kind": "none"}
    if credential.expires_at and credential.expires_at <= now:
        return {"word": "Expired", "kind": "warn"}
    return {"word": "Active", "kind": "good"}

"""People, workspaces and credentials on the wire."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from apps.accounts.models import Credential, KeyPair, Membership, User, Workspace


def _when(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def credential_out(credential: Credential) -> dict[str, Any]:
    """What tokens and key pairs share; never the secret."""
    return {
        "id": str(credential.id),
        "name": credential.name,
        "hint": credential.hint,
        "createdAt": credential.created_at.isoformat(),
        "expiresAt": _when(credential.expires_at),
        "revokedAt": _when(credential.revoked_at),
        "lastUsedAt": _when(credential.last_used_at),
    }


def key_pair_out(key_pair: KeyPair) -> dict[str, Any]:
    return credential_out(key_pair) | {"accessKey": key_pair.access_key}


def workspace_out(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": str(workspace.id),
        "name": workspace.name,
        "slug": workspace.slug,
        "description": workspace.description,
        "createdAt": workspace.created_at.isoformat(),
    }


def person_out(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "name": user.name,
        "organisationRole": user.organisation_role,
        "isActive": user.is_active,
        "lastSignInAt": _when(user.last_login),
    }


def member_out(membership: Membership) -> dict[str, Any]:
    return {
        "id": str(membership.id),
        "workspaceId": str(membership.workspace_id),
        "role": membership.role,
        "user": person_out(membership.user),
        "createdAt": membership.created_at.isoformat(),
    }


class ExpiringIn(serializers.Serializer):
    """Body of POST keyPairs; tokens add scopes."""

    name = serializers.CharField(max_length=80)
    expiresAt = serializers.DateTimeField(required=False, allow_null=True)

    def validate_expiresAt(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This time has passed; give a later one.")
        return value


class WorkspaceIn(serializers.Serializer):
    """Body of POST workspaces."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)


class WorkspaceChangeIn(serializers.Serializer):
    """Body of PATCH workspaces/{id}."""

    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)


class MemberIn(serializers.Serializer):
    """Body of POST members."""

    email = serializers.EmailField()
    role = serializers.ChoiceField(Membership.Role.choices)
    name = serializers.CharField(max_length=120, required=False, allow_blank=True)


class RoleIn(serializers.Serializer):
    """Body of PATCH members/{id}."""

    role = serializers.ChoiceField(Membership.Role.choices)


class PersonIn(serializers.Serializer):
    """Body of POST users."""

    email = serializers.EmailField()
    name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    organisationRole = serializers.ChoiceField(User.OrganisationRole.choices, required=False)


class PersonChangeIn(serializers.Serializer):
    """Body of PATCH users/{id}."""

    organisationRole = serializers.ChoiceField(User.OrganisationRole.choices, required=False)
    isActive = serializers.BooleanField(required=False)

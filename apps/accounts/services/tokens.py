"""Changes to the tokens of deployments."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts import credentials
from apps.accounts.models import DeploymentToken, User, Workspace
from apps.accounts.services.notify import notify_credentials
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Invalid


@transaction.atomic
def issue_token(
    *,
    workspace: Workspace,
    deployment_id: UUID,
    deployment_name: str,
    name: str,
    scopes: Sequence[str],
    by: User,
    expires_at: datetime | None = None,
) -> tuple[DeploymentToken, str]:
    """A new token and its text, which is shown now and never again."""
    unknown = sorted(set(scopes) - set(DeploymentToken.Scope.values))
    if unknown or not scopes:
        known = ", ".join(DeploymentToken.Scope.values)
        raise Invalid(f"A token needs at least one scope of {known}.")
    text = credentials.new_token()
    token = DeploymentToken.objects.create(
        workspace=workspace,
        deployment_id=deployment_id,
        name=name,
        scopes=list(scopes),
        secret_hash=credentials.hash_secret(text),
        hint=credentials.hint_of(text),
        expires_at=expires_at,
        created_by=by,
    )
    audit.record(
        name="token.issued",
        by=by.actor,
        workspace_id=workspace.id,
        object_type="deployment",
        object_id=deployment_id,
        object_name=deployment_name,
        data={"token": token.id, "name": name, "scopes": list(scopes), "expiresAt": expires_at},
    )
    notify_credentials()
    return token, text


@transaction.atomic
def revoke_token(*, token: DeploymentToken, by: Actor, now: datetime) -> None:
    """Ends a token for good; gateways stop taking it within two seconds."""
    if token.revoked_at:
        return
    token.revoked_at = now
    token.save(update_fields=["revoked_at"])
    audit.record(
        name="token.revoked",
        by=by,
        workspace_id=token.workspace_id,
        object_type="deployment",
        object_id=token.deployment_id,
        object_name=token.name,
        data={"token": token.id},
    )
    notify_credentials()


def revoke_tokens_of_deployment(*, deployment_id: UUID, by: Actor, now: datetime) -> None:
    """Ends all tokens of a deployment that is being deleted."""
    tokens = DeploymentToken.objects.filter(deployment_id=deployment_id, revoked_at=None)
    for token in tokens:
        revoke_token(token=token, by=by, now=now)

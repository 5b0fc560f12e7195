"""Changes to personal key pairs."""

from datetime import datetime

from django.db import transaction

from apps.accounts import credentials
from apps.accounts.models import KeyPair, User
from apps.accounts.services.notify import notify_credentials
from apps.audit import services as audit
from apps.audit.actor import Actor


@transaction.atomic
def create_key_pair(
    *, user: User, name: str, by: Actor | None = None, expires_at: datetime | None = None
) -> tuple[KeyPair, str]:
    """A personal key pair and its secret, which is shown now and never again.

    `by` is the person themselves unless a program of theirs acts.
    """
    secret = credentials.new_secret_key()
    key_pair = KeyPair.objects.create(
        user=user,
        name=name,
        access_key=credentials.new_access_key(),
        secret_hash=credentials.hash_secret(secret),
        hint=credentials.hint_of(secret),
        expires_at=expires_at,
    )
    audit.record(
        name="key_pair.created",
        by=by or user.actor,
        object_type="user",
        object_id=user.id,
        object_name=str(user),
        data={"keyPair": key_pair.id, "name": name, "expiresAt": expires_at},
    )
    notify_credentials()
    return key_pair, secret


@transaction.atomic
def revoke_key_pair(*, key_pair: KeyPair, by: Actor, now: datetime) -> None:
    """Ends a key pair for good; gateways stop taking it within two seconds."""
    if key_pair.revoked_at:
        return
    key_pair.revoked_at = now
    key_pair.save(update_fields=["revoked_at"])
    audit.record(
        name="key_pair.revoked",
        by=by,
        object_type="user",
        object_id=key_pair.user_id,
        object_name=str(key_pair.user),
        data={"keyPair": key_pair.id, "name": key_pair.name},
    )
    notify_credentials()

"""Secrets of programs: made here, kept as hashes, shown once."""

import hashlib
import secrets
from uuid import UUID

from django.core import signing

TOKEN_PREFIX = "DPT"  # noqa: S105  a prefix, no secret
ACCESS_KEY_PREFIX = "DPA"
SECRET_KEY_PREFIX = "S"  # noqa: S105  a prefix, no secret
USER_CALL_PREFIX = "DPU."
_SALT = "deeploy.user-call"


def new_token() -> str:
    """A deployment token: 256 random bits, so that a plain SHA-256 of it cannot be reversed."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_access_key() -> str:
    return ACCESS_KEY_PREFIX + secrets.token_hex(10).upper()


def new_secret_key() -> str:
    return SECRET_KEY_PREFIX + secrets.token_urlsafe(32)


def hash_secret(text: str) -> bytes:
    """SHA-256 of a secret of ours."""
    return hashlib.sha256(text.encode()).digest()


def hint_of(text: str) -> str:
    """Enough of a secret to recognise it by, too little to use."""
    return f"{text[:5]}…{text[-3:]}"


def sign_user_call(user_id: UUID, deployment_id: UUID) -> str:
    """A bearer credential for one signed-in person and one deployment, good for a minute."""
    return USER_CALL_PREFIX + signing.dumps([str(user_id), str(deployment_id)], salt=_SALT)


def read_user_call(text: str, *, max_age_seconds: int = 60) -> tuple[UUID, UUID] | None:
    """User and deployment of a signed call; None where it is forged or too old."""
    try:
        user, deployment = signing.loads(
            text.removeprefix(USER_CALL_PREFIX), salt=_SALT, max_age=max_age_seconds
        )
    except signing.BadSignature:
        return None
    return UUID(user), UUID(deployment)

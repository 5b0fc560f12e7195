"""How programs say who they are: Basic with a key pair, Bearer with a deployment token."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.accounts.credentials import TOKEN_PREFIX, hash_secret
from apps.accounts.models import Credential, DeploymentToken, KeyPair, User
from apps.audit.actor import Actor

_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class TokenPrincipal:
    """A program with a deployment token: it has no person's rights, only the token's scopes."""

    token: DeploymentToken
    is_authenticated: bool = True
    is_active: bool = True


class KeyPairAuthentication(BaseAuthentication):
    """`Authorization: Basic base64(accessKey:secretKey)`; acts as the person who made the pair."""

    def authenticate(self, request: Request) -> tuple[User, KeyPair] | None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            decoded = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise AuthenticationFailed("The Authorization header is not valid Basic.") from None
        access_key, _, secret = decoded.partition(":")
        found = KeyPair.objects.select_related("user").filter(access_key=access_key).first()
        if found is None or not hmac.compare_digest(bytes(found.secret_hash), hash_secret(secret)):
            raise AuthenticationFailed("There is no key pair with this access key and secret.")
        _check_alive(found)
        if not found.user.is_active:
            raise AuthenticationFailed("The person of this key pair was deactivated.")
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="api"'


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer DPT…`; only for what a token's deployment offers."""

    def authenticate(self, request: Request) -> tuple[TokenPrincipal, DeploymentToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = None
        if text.startswith(TOKEN_PREFIX):
            token = DeploymentToken.objects.filter(secret_hash=hash_secret(text)).first()
        if token is None:
            raise AuthenticationFailed("There is no such token.")
        _check_alive(token)
        return TokenPrincipal(token), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def actor_of(request: Request) -> Actor:
    """Whom an event names: the key pair where a program acts, else the person."""
    actor: Actor = getattr(request.auth or request.user, "actor")  # noqa: B009
    return actor


def _check_alive(credential: Credential) -> None:
    now = timezone.now()
    if credential.revoked_at:
        raise AuthenticationFailed("This credential was revoked.")
    if credential.expires_at and credential.expires_at <= now:
        raise AuthenticationFailed("This credential has expired.")
    if credential.last_used_at is None or now - credential.last_used_at > _USE_NOTED_EVERY:
        manager: Any = type(credential)._default_manager
        manager.filter(pk=credential.pk).update(last_used_at=now)

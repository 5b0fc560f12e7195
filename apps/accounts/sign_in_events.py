"""Events of sign-in and of what protects it. allauth tells of them by signals; its views run in
a transaction each (`sign_in_urls`), so an event stands or falls with its change. A new factor is
taken from its row instead, because allauth tells of it only after the commit."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.db.models.signals import post_save

from apps.accounts.models import User
from apps.audit import services as audit
from apps.audit.actor import SYSTEM


def connect() -> None:
    """Called once, when the app is ready."""
    for signal, name in (
        (account.user_logged_in, "person.signed_in"),
        (account.password_changed, "person.password_changed"),
        (account.password_set, "person.password_changed"),
        (account.password_reset, "person.password_reset"),
        (mfa.authenticator_removed, "person.factor_removed"),
    ):
        signal.connect(_recorder(name), weak=False, dispatch_uid=f"event {name} {id(signal)}")
    post_save.connect(_added, sender=Authenticator, dispatch_uid="event person.factor_added")
    user_login_failed.connect(_failed, dispatch_uid="event person.sign_in_failed")


def _recorder(name: str) -> Any:
    def record(user: User, authenticator: Authenticator | None = None, **_: Any) -> None:
        kind = {"kind": authenticator.type} if authenticator else {}
        _record(name, user, kind)

    return record


def _added(instance: Authenticator, created: bool, **_: Any) -> None:
    if created:
        _record("person.factor_added", instance.user, {"kind": instance.type})


def _failed(credentials: dict[str, Any], **_: Any) -> None:
    """Of an address that nobody has there is nothing to tell; it may be a password typed amiss."""
    user = User.objects.filter(email__iexact=str(credentials.get("email", ""))).first()
    if user is not None:
        _record("person.sign_in_failed", user, {}, known=False)


@transaction.atomic
def _record(name: str, user: User, data: dict[str, Any], *, known: bool = True) -> None:
    audit.record(
        name=name,
        by=user.actor if known else SYSTEM,
        object_type="user",
        object_id=user.id,
        object_name=str(user),
        data=data,
    )

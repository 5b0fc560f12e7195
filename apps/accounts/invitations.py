"""The link with which an invited person sets their first password.

It is the link of a password reset: signed, good for `PASSWORD_RESET_TIMEOUT`, and dead as soon
as a password is set or the person signs in.
"""

from allauth.account import app_settings
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse

from apps.accounts.models import User

DAYS = settings.PASSWORD_RESET_TIMEOUT // 86_400


def is_mailed() -> bool:
    """True where a mail server carries messages; else they are files below VAR_DIR."""
    return bool(settings.EMAIL_HOST)


def way() -> str:
    """How the link reaches the person, for the record."""
    return "mailed" if is_mailed() else "shown to the inviter"


def link_for(user: User) -> str:
    """An address that lets whoever opens it set the password of `user`, once."""
    key = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    path = reverse("account_reset_password_from_key", args=[user_pk_to_url_str(user), key])
    return f"{settings.BASE_URL}{path}"

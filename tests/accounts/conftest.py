"""What tests of accounts share."""

from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from apps.accounts.models import User
from apps.accounts.services import people


def add_second_factor(user: User) -> str:
    """Gives `user` an authenticator app, and returns its secret."""
    secret: str = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret


@pytest.fixture
def sent_tasks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was put into the worker's queue, instead of the queue."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(people, "async_task", lambda *args: sent.append(args))
    return sent

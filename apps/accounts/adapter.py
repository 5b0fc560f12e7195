"""Sign-in rules: accounts come by invitation, never by self-service."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes sign-up; members are added by a workspace owner or an admin."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

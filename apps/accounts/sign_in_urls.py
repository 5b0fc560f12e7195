"""Sign-in and account pages: those of allauth, without those that are not offered here."""

from collections.abc import Iterable
from typing import Never

from allauth import urls as allauth_urls
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest
from django.urls import URLPattern, URLResolver, include, path, re_path


@login_not_required
def not_offered(request: HttpRequest, rest: str) -> Never:
    """Addresses belong to whoever invites; there are no sign-in codes by mail."""
    raise Http404("There is no such page here.")


def in_transactions(patterns: Iterable[URLPattern | URLResolver]) -> None:
    """Lets each view run in a transaction, so that its events stand or fall with its changes."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            in_transactions(pattern.url_patterns)
        else:
            pattern.callback = transaction.atomic(pattern.callback)


in_transactions(allauth_urls.urlpatterns)
urlpatterns = [
    re_path(r"^(?:email|confirm-email|password/set|login/code)/(.*)$", not_offered),
    path("", include(allauth_urls.urlpatterns)),
]

"""What the frame of every page needs."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.accounts.access import rights, visible_workspaces


def frame(request: HttpRequest) -> dict[str, Any]:
    """`workspace`: the current one or None; `my_workspaces`; `rights`: names of what is allowed."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"workspace": None, "my_workspaces": [], "rights": frozenset()}
    workspace = getattr(request, "workspace", None)
    return {
        "workspace": workspace,
        "my_workspaces": SimpleLazyObject(lambda: list(visible_workspaces(user))),
        "rights": SimpleLazyObject(lambda: rights(user, workspace)),
    }

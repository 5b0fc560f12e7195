"""Home, of one workspace or of all, and search."""

from uuid import UUID

from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps.accounts.access import visible_workspaces, workspace_for
from apps.accounts.models import Workspace
from apps.dashboard.search import page_of, scope_of
from apps.dashboard.search import search as find
from apps.dashboard.selectors import overview


@require_GET
def home(request):
    """Is everything all right, and what waits for me? Who has one workspace sees it as such."""
    workspaces = list(visible_workspaces(request.user))
    if len(workspaces) == 1:
        request.workspace = workspaces[0]
    return _home(request, workspaces)


@require_GET
def workspace_home(request, workspace_slug):
    return _home(request, [workspace_for(request, workspace_slug)])


def _home(request, workspaces: list[Workspace]):
    context = {
        "overview": overview(request.user, workspaces, now=timezone.now()),
        "section": "home",
    }
    partial = request.htmx and not request.htmx.boosted
    template = "dashboard/_overview.html" if partial else "dashboard/home.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request"
    return response


@require_GET
def search(request):
    """One field for everything; the exact id of a thing leads straight to it."""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    scope = scope_of(request.user)
    if (identifier := _id(text)) and (url := page_of(identifier, scope)):
        return redirect(url)
    context = {"q": text, "groups": find(text, scope)}
    return render(request, "dashboard/search.html", context)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

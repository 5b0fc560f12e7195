"""Pages of the audit log: what happened, by whom, and is the record intact?

They stand above accounts, whose rights they ask for; the log itself lies below.
"""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps.accounts.access import require, workspace_for
from apps.accounts.models import Workspace
from apps.audit import selectors
from apps.audit.chain import link_hash
from apps.audit.models import Event
from apps.audit.sentences import changes_of, facts_of, in_words, sentence
from apps.audit.services import content
from apps.core.canonical import digest
from apps.core.streaming import download
from apps.dashboard import audit_export
from apps.dashboard.audit_forms import ACTORS, EventFilter

_PANEL_ROWS = 6


@require_GET
def events(request: HttpRequest, workspace_slug: str) -> HttpResponse:
    workspace = _workspace(request, workspace_slug)
    return _stream(request, workspace, EventFilter(workspace.id, request.GET))


@require_GET
def organisation(request: HttpRequest) -> HttpResponse:
    require(request.user, "organisation.view_log")
    return _stream(request, None, EventFilter(None, request.GET))


def _stream(request: HttpRequest, workspace: Workspace | None, form: EventFilter) -> HttpResponse:
    wanted = form.wanted
    found = selectors.events(workspace=workspace.id if workspace else None, **wanted)
    context = _page_of(request, found) | {
        "form": form,
        "filtered": bool(wanted),
        "exports": _exports(request, workspace),
        "here": _home(workspace),
        "section": "audit",
        "scope": workspace,
        "tab": "events",
        "chain": selectors.chain_state(now=timezone.now()),
    }
    return _answer(request, "audit/events.html", context)


@require_GET
def object_events(
    request: HttpRequest, workspace_slug: str, object_type: str, object_id: str
) -> HttpResponse:
    """The whole history of one thing; as a fragment the latest changes, for its own page."""
    workspace = _workspace(request, workspace_slug)
    found = selectors.events(workspace=workspace.id, object_type=object_type, object_id=object_id)
    newest = found.first()
    context = {"section": "audit", "here": request.path, "kind": in_words(object_type)}
    if _is_fragment(request) and not _asks_for_page(request):
        rows = [_row(event) for event in found[:_PANEL_ROWS]]
        response = render(request, "audit/_object.html", context | {"rows": rows})
        response["Vary"] = "HX-Request"
        return response
    if newest is None:
        raise Http404("Nothing is recorded of such a thing in this workspace.")
    context |= _page_of(request, found) | {"name": newest.object_name, "scope": workspace}
    return _answer(request, "audit/object.html", context)


@require_GET
def event(request: HttpRequest, workspace_slug: str, number: int) -> HttpResponse:
    workspace = _workspace(request, workspace_slug)
    return _one(request, Event.objects.filter(workspace_id=workspace.id, number=number), workspace)


@require_GET
def organisation_event(request: HttpRequest, number: int) -> HttpResponse:
    require(request.user, "organisation.view_log")
    return _one(request, Event.objects.filter(number=number), None)


def _one(request: HttpRequest, found: QuerySet[Event], workspace: Workspace | None) -> HttpResponse:
    shown = found.first()
    if shown is None:
        raise Http404("There is no event with this number here.")
    context = _row(shown) | {
        "changes": changes_of(shown),
        "facts": facts_of(shown),
        "state": _state(shown),
        "section": "audit",
        "here": _home(workspace),
        "scope": workspace,
    }
    return render(request, "audit/event.html", context)


def _state(event: Event) -> tuple[str, str]:
    """Recomputes the event's digest and its links to its neighbours, now."""
    before = Event.objects.filter(number=event.number - 1).first()
    follows = before is None or bytes(before.hash) == bytes(event.previous_hash)
    hashed = link_hash(bytes(event.previous_hash), bytes(event.digest)) == bytes(event.hash)
    if not follows or not hashed or (before is None and event.number > 1):
        return "bad", "Chain broken"
    if event.salt is None:
        return "none", "Erased"
    if digest(bytes(event.salt), content(event)) != bytes(event.digest):
        return "bad", "Altered"
    return "good", "Intact"


@require_GET
def export(request: HttpRequest, workspace_slug: str, form: str) -> HttpResponseBase:
    workspace = _workspace(request, workspace_slug)
    return _export(request, workspace, form)


@require_GET
def organisation_export(request: HttpRequest, form: str) -> HttpResponseBase:
    require(request.user, "organisation.view_log")
    return _export(request, None, form)


def _export(request: HttpRequest, workspace: Workspace | None, form: str) -> HttpResponseBase:
    """The events that the page's filters leave, as a file."""
    if form not in audit_export.FORMATS:
        raise Http404("Events are exported as csv or jsonl.")
    key = workspace.id if workspace else None
    found = selectors.events(workspace=key, **EventFilter(key, request.GET).wanted)
    name = f"events-{workspace.slug if workspace else 'all'}-{timezone.now():%Y%m%d}.{form}"
    return download(
        request,
        audit_export.lines(found, form),
        filename=name,
        content_type=audit_export.FORMATS[form],
    )


def _workspace(request: HttpRequest, slug: str) -> Workspace:
    workspace = workspace_for(request, slug)
    require(request.user, "event.view", workspace)
    return workspace


def _page_of(request: HttpRequest, found: QuerySet[Event]) -> dict[str, Any]:
    shown = selectors.page(
        found, before=_number(request, "before"), after=_number(request, "after")
    )
    return {"page": shown, "rows": [_row(event) for event in shown.rows]}


def _row(event: Event) -> dict[str, Any]:
    return {
        "event": event,
        "sentence": sentence(event),
        "actor": ACTORS.get(event.actor_kind, event.actor_kind),
    }


def _answer(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    fragment = _is_fragment(request)
    response = render(request, "audit/_rows.html" if fragment else template, context)
    response["Vary"] = "HX-Request"
    return response


def _is_fragment(request: HttpRequest) -> bool:
    htmx: Any = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted


def _asks_for_page(request: HttpRequest) -> bool:
    return "before" in request.GET or "after" in request.GET


def _exports(request: HttpRequest, workspace: Workspace | None) -> list[tuple[str, str]]:
    """Label and address of the exports, with the page's filters."""
    parameters = request.GET.copy()
    for name in ("before", "after"):
        parameters.pop(name, None)
    addresses = []
    for form, label in (("csv", "CSV"), ("jsonl", "JSON lines")):
        if workspace is None:
            address = reverse("audit:organisation_export", args=[form])
        else:
            address = reverse("audit:export", args=[workspace.slug, form])
        addresses.append((label, f"{address}?{parameters.urlencode()}"))
    return addresses


def _home(workspace: Workspace | None) -> str:
    if workspace is None:
        return reverse("audit:organisation")
    return reverse("audit:events", args=[workspace.slug])


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

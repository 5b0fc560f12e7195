"""Is the record intact, and can it be proved elsewhere? Verifications and bundles."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_q.tasks import async_task

from apps.accounts.access import require, workspace_for
from apps.accounts.models import User, Workspace
from apps.audit import selectors, verifications, verify_bundle
from apps.audit.checkpoints import public_key
from apps.audit.models import Verification
from apps.core.errors import Conflict
from apps.core.streaming import download
from apps.dashboard.audit_forms import BundleForm
from apps.predictions.bundle import Scope, export
from apps.predictions.bundle_scope import scope_of
from apps.predictions.checking import TASK, TASK_SECONDS

_SHOWN = 30
_SILENT_AFTER = timedelta(seconds=20)


@require_GET
def state(request: HttpRequest) -> HttpResponse:
    require(request.user, "organisation.view_log")
    context = {
        "chain": selectors.chain_state(now=timezone.now()),
        "rows": Verification.objects.all()[:_SHOWN],
        "key": public_key().hex(),
        "late_after": selectors.CHECKPOINT_LATE_AFTER // timedelta(hours=1),
        "section": "audit",
        "tab": "chain",
    }
    return render(request, "audit/chain.html", context)


@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Asks for a verification; a worker runs it, and its page shows how far it is."""
    require(request.user, "organisation.view_log")
    assert isinstance(request.user, User)
    try:
        with transaction.atomic():
            asked = verifications.ask(by=request.user.actor, now=timezone.now())
            transaction.on_commit(
                lambda: async_task(TASK, str(asked.id), q_options={"timeout": TASK_SECONDS})
            )
    except Conflict as error:
        messages.error(request, error.message)
        return redirect("audit:chain")
    return redirect("audit:verification", asked.id)


@require_GET
def verification(request: HttpRequest, identifier: UUID) -> HttpResponse:
    """One verification; the fragment asks again each second until it is done."""
    require(request.user, "organisation.view_log")
    shown = Verification.objects.filter(id=identifier).first()
    if shown is None:
        raise Http404("There is no such verification.")
    silent = shown.is_open and timezone.now() - shown.seen_at > _SILENT_AFTER
    context: dict[str, Any] = {"verification": shown, "silent": silent, "section": "audit"}
    htmx: Any = request.htmx  # type: ignore[attr-defined]
    fragment = htmx and not htmx.boosted
    template = "audit/_verification.html" if fragment else "audit/verification.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request"
    return response


@require_http_methods(["GET", "POST"])
def bundle(request: HttpRequest, workspace_slug: str) -> HttpResponseBase:
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "event.view", workspace)
    require(request.user, "prediction.view", workspace)
    return _bundle(request, workspace)


@require_http_methods(["GET", "POST"])
def organisation_bundle(request: HttpRequest) -> HttpResponseBase:
    require(request.user, "organisation.view_log")
    return _bundle(request, None)


def _bundle(request: HttpRequest, workspace: Workspace | None) -> HttpResponseBase:
    """A form, and for its answer the bundle, made while it is sent."""
    form = BundleForm(workspace, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        scope = scope_of(
            workspace=workspace,
            deployment=form.cleaned_data.get("deployment") or "",
            since=form.cleaned_data["since"],
        )
        assert scope is not None
        return _download(request, scope)
    context = {"form": form, "scope": workspace, "key": public_key().hex(), "section": "audit"}
    status = 400 if request.method == "POST" else 200
    return render(request, "audit/bundle.html", context | {"tab": "bundle"}, status=status)


def _download(request: HttpRequest, scope: Scope) -> HttpResponseBase:
    assert isinstance(request.user, User)
    now = timezone.now()
    return download(
        request,
        export(scope=scope, by=request.user.actor, now=now),
        filename=f"record-{slugify(scope.name)}-{now:%Y%m%d-%H%M}.zip",
        content_type="application/zip",
    )


@require_GET
def verifier(request: HttpRequest) -> HttpResponseBase:
    """The stand-alone verifier, to read and to run elsewhere."""
    path = Path(verify_bundle.__file__)
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name)

"""Making a queue and changing it: a form in words, and what it would let in before it counts."""

import hashlib
import json
from typing import Any

from django import forms
from django.contrib import messages
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.access import require, workspace_for
from apps.core.errors import DomainError
from apps.deployments.models import Deployment
from apps.deployments.selectors import deployments_of, find_deployment, newest_revision
from apps.deployments.services import model_of
from apps.feedback.models import ReviewQueue
from apps.feedback.review import services
from apps.feedback.review.queue_forms import (
    QueueForm,
    initial_of,
    settings_from,
    show_faults,
)
from apps.feedback.review.row_forms import RowForm
from apps.feedback.review.settings import QueueSettings
from apps.feedback.review.subjects import Model
from apps.feedback.review.views.loading import load_queue
from apps.feedback.review.wording import KINDS

_EMPTY_ROWS = 3
_NEW = QueueSettings(
    name="",
    reasons=[
        {"key": "input-wrong", "text": "An input looks wrong"},
        {"key": "fact-missing", "text": "A fact is missing that counts"},
        {"key": "policy", "text": "Policy says otherwise"},
    ],
)


@require_GET
def choose(request, workspace_slug):
    """Of which deployment the new queue is."""
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "review.manage", workspace)
    context = {"deployments": deployments_of(workspace), "section": "review"}
    return render(request, "review/choose.html", context)


@require_http_methods(["GET", "POST"])
def new(request, workspace_slug, slug):
    workspace = workspace_for(request, workspace_slug)
    deployment = find_deployment(workspace, slug)
    require(request.user, "review.manage", workspace)
    return _edit(request, deployment, None)


@require_http_methods(["GET", "POST"])
def change(request, workspace_slug, queue_id):
    queue = load_queue(request, workspace_slug, queue_id, "review.manage")
    return _edit(request, queue.deployment, queue)


def _edit(request, deployment: Deployment, queue: ReviewQueue | None):
    model = services.model_for(deployment)
    form, rows = _forms(request, deployment, model, queue)
    context: dict[str, Any] = {}
    is_valid = request.method == "POST" and form.is_valid() & rows.is_valid()
    if is_valid:
        settings, origins = settings_from(form, rows)
        try:
            if request.POST.get("confirmed") == _digest(settings):
                return _keep(request, deployment, queue, settings)
            context = _preview(deployment, settings)
        except DomainError as error:
            show_faults(form, origins, error)
    context |= {
        "queue": queue,
        "deployment": deployment,
        "form": form,
        "rows": rows,
        "categories": _categories(model),
        "section": "review",
    }
    has_faults = request.method == "POST" and "preview" not in context
    return render(request, "review/edit.html", context, status=400 if has_faults else 200)


def _forms(request, deployment, model: Model, queue: ReviewQueue | None):
    start, filled = initial_of(queue or _NEW, model)
    made = forms.formset_factory(RowForm, extra=_EMPTY_ROWS, max_num=20, validate_max=True)
    given = request.POST if request.method == "POST" else None
    form = QueueForm(model, given, initial=start, has_reference=_has_reference(deployment))
    rows = made(given, initial=filled, prefix="rows", form_kwargs={"model": model})
    return form, rows


def _keep(request, deployment, queue, settings: QueueSettings):
    now = timezone.now()
    if queue is None:
        made = services.create_queue(
            deployment=deployment, settings=settings, by=request.user, now=now
        )
        text = "The queue is open: predictions enter it from now on."
    else:
        made = services.change_queue(queue=queue, settings=settings, by=request.user.actor, now=now)
        text = "The queue is changed, for what enters from now on."
    messages.success(request, text)
    return redirect("review:queue", deployment.workspace.slug, made.id)


def _preview(deployment: Deployment, settings: QueueSettings) -> dict[str, Any]:
    found = services.preview(deployment=deployment, settings=settings)
    causes = [(KINDS.get(kind, kind), count) for kind, count in found.by_cause.items()]
    return {
        "preview": found,
        "causes": sorted(causes, key=lambda each: -each[1]),
        "confirmed": _digest(settings),
    }


def _digest(settings: QueueSettings) -> str:
    """Names what was previewed, so that only that is confirmed."""
    return hashlib.sha256(json.dumps(settings.fields, sort_keys=True).encode()).hexdigest()[:16]


def _has_reference(deployment: Deployment) -> bool:
    revision = deployment.active_revision or newest_revision(deployment)
    return bool(revision and getattr(model_of(revision), "reference", None))


def _categories(model: Model) -> list[tuple[str, str]]:
    """The values of each category, as a row takes them."""
    found = []
    for name, feature in model.features.items():
        labels = feature.get("categoryLabels") or {}
        values = [str(labels.get(str(each), each)) for each in feature.get("categories") or []]
        if values:
            found.append((model.label(name), ", ".join(values)))
    return found

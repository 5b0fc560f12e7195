"""The queues of a workspace: what waits in each, and what each takes in."""

from django.contrib import messages
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.access import can, require, workspace_for
from apps.core.errors import DomainError
from apps.deployments.selectors import deployments_of
from apps.feedback.review import services
from apps.feedback.review.selectors import progress_of, queues_of
from apps.feedback.review.views.loading import load_queue
from apps.feedback.review.wording import rule_words
from apps.predictions.views.loading import is_fragment


@require_GET
def queue_list(request, workspace_slug):
    workspace = workspace_for(request, workspace_slug)
    require(request.user, "prediction.view", workspace)
    queues = list(queues_of(workspace))
    progress = progress_of(queues, request.user, now=timezone.now())
    context = {
        "rows": [(each, progress[each.id]) for each in queues],
        "has_deployments": bool(queues) or deployments_of(workspace).exists(),
        "section": "review",
    }
    return _answer(request, "list", context)


@require_GET
def queue(request, workspace_slug, queue_id):
    found = load_queue(request, workspace_slug, queue_id, "prediction.view")
    model = services.model_for(found.deployment)
    context = {
        "queue": found,
        "deployment": found.deployment,
        "progress": progress_of([found], request.user, now=timezone.now())[found.id],
        "rules": [rule_words(rule, model) for rule in found.rules],
        "certainty": None if found.alpha is None else 1 - found.alpha,
        "may_judge": can(request.user, "prediction.evaluate", found.deployment.workspace),
        "section": "review",
    }
    return _answer(request, "queue", context)


@require_POST
def reopen(request, workspace_slug, queue_id):
    return _switch(request, workspace_slug, queue_id, services.open_queue)


@require_POST
def close(request, workspace_slug, queue_id):
    return _switch(request, workspace_slug, queue_id, services.close_queue)


def _switch(request, workspace_slug, queue_id, act):
    found = load_queue(request, workspace_slug, queue_id, "review.manage")
    try:
        act(queue=found, by=request.user.actor, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("review:queue", workspace_slug, queue_id)


def _answer(request, name, context):
    template = f"_{name}" if is_fragment(request) else name
    response = render(request, f"review/{template}.html", context)
    response["Vary"] = "HX-Request"
    return response

"""Asking that people look at a prediction, on its page."""

from django.contrib import messages
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from apps.accounts.access import can
from apps.core.errors import DomainError
from apps.feedback.authors import author_of
from apps.feedback.models import ReviewQueue
from apps.feedback.review.forms import RequestForm
from apps.feedback.review.requests import ask_for_review, queue_for_requests
from apps.feedback.review.selectors import cases_of
from apps.predictions.views.loading import is_fragment, load_prediction


@require_http_methods(["GET", "POST"])
def request(request, workspace_slug, identifier):
    """In which queues a prediction is, and the form that asks for a review."""
    is_asking = request.method == "POST"
    action = "prediction.evaluate" if is_asking else "prediction.view"
    record = load_prediction(request, workspace_slug, identifier, action)
    form = RequestForm(request.POST if is_asking else None)
    status = 200
    if is_asking and form.is_valid():
        try:
            _ask(request, record, form.cleaned_data["reason"])
        except DomainError as error:
            form.add_error("reason" if error.errors else None, error.message)
            status = error.status
        else:
            return _done(request, record)
    elif is_asking:
        status = 400
    return _render(request, record, form, status=status)


def _ask(request, record, reason):
    ask_for_review(
        queue=queue_for_requests(record.deployment),
        prediction=record,
        reason=reason,
        by=author_of(request.user),
        now=timezone.now(),
    )


def _done(request, record):
    if is_fragment(request):
        return _render(request, record, RequestForm(), asked=True)
    messages.success(request, "It waits for a reviewer, before all others.")
    return redirect("predictions:detail", record.deployment.workspace.slug, record.id)


def _render(request, record, form, *, asked=False, status=200):
    """htmx swaps in what succeeds alone, so that a part is always 200; the words stand in it."""
    deployment = record.deployment
    context = {
        "record": record,
        "deployment": deployment,
        "cases": cases_of(record.id),
        "form": form,
        "asked": asked,
        "may_ask": record.output is not None
        and can(request.user, "prediction.evaluate", deployment.workspace),
        "may_manage": can(request.user, "review.manage", deployment.workspace),
        "has_queue": ReviewQueue.objects.filter(deployment=deployment, is_open=True).exists(),
        "section": "deployments",
    }
    is_part = is_fragment(request)
    template = "_prediction" if is_part else "prediction"
    response = render(
        request, f"review/{template}.html", context, status=200 if is_part else status
    )
    response["Vary"] = "HX-Request"
    return response

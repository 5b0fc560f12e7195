"""Erasing one prediction, or all of a case."""

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import DomainError
from apps.predictions import services
from apps.predictions.forms import ErasureForm
from apps.predictions.selectors import predictions_of
from apps.predictions.sight import veiled, withheld_from
from apps.predictions.views.loading import head, load_deployment, load_record
from apps.predictions.views.record import render_prediction

_MOST_LISTED = 50


@require_POST
def erase(request, workspace_slug, identifier):
    record = load_record(request, workspace_slug, identifier, "prediction.erase")
    form = ErasureForm(request.POST)
    if not form.is_valid():
        return render_prediction(request, record, form, status=400)
    try:
        services.erase_prediction(
            prediction=record,
            reason=form.cleaned_data["reason"],
            by=request.user.actor,
            now=timezone.now(),
        )
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The prediction is erased. Its digest stays under its seal.")
    return redirect("predictions:detail", workspace_slug, identifier)


@require_http_methods(["GET", "POST"])
def erase_case(request, workspace_slug, slug):
    """Every prediction with one custom id, and the form that erases them together."""
    deployment = load_deployment(request, workspace_slug, slug, "prediction.erase")
    custom_id = request.POST.get("custom_id", request.GET.get("custom_id", ""))
    found = predictions_of(deployment, custom_id=custom_id).order_by("-id")
    if not custom_id or not found.exists():
        raise Http404("No prediction of this deployment has this custom id.")
    form = ErasureForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        erased = services.erase_by_custom_id(
            deployment=deployment,
            custom_id=custom_id,
            reason=form.cleaned_data["reason"],
            by=request.user.actor,
            now=timezone.now(),
        )
        count = len(erased.predictions)
        messages.success(request, f"{count} prediction{'s' * (count != 1)} of the case erased.")
        return redirect("predictions:list", workspace_slug, slug)
    context = head(deployment, "predictions") | {
        "form": form,
        "custom_id": custom_id,
        "count": found.count(),
        "rows": veiled(found[:_MOST_LISTED], withheld_from(request.user)),
        "most": services.MOST_AT_ONCE,
    }
    status = 400 if form.errors else 200
    return render(request, "predictions/erase_case.html", context, status=status)

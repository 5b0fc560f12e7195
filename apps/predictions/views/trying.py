"""Trying a deployment with a form made from its features."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from apps.deployments.import_views import waiting
from apps.deployments.models import Deployment
from apps.deployments.selectors import takes_a_form
from apps.predictions.forms import InstanceForm, RowForm
from apps.predictions.models import PredictionRecord
from apps.predictions.presentation import probabilities, sentence
from apps.predictions.selectors import predictions_of
from apps.predictions.trying import Answer, try_instance
from apps.predictions.views.loading import head, is_fragment, load_deployment, metadata_of

_CHANGE = "to."


@require_http_methods(["GET", "POST"])
def try_it(request, workspace_slug, slug):
    """A form made from the features; the answer stands beside it."""
    deployment = load_deployment(request, workspace_slug, slug, "deployment.try")
    if elsewhere := waiting(deployment):
        return elsewhere
    if not takes_a_form(deployment):
        raise Http404("This deployment takes no calls that a form could make.")
    metadata = metadata_of(deployment)
    is_row = "row" in request.POST
    row = RowForm(metadata, request.POST if is_row else None)
    start = _start(request, deployment, metadata, row)
    posted = request.POST if request.method == "POST" and not is_row else None
    form = InstanceForm(metadata, posted, initial=start)
    answer, result = None, None
    if posted is not None and form.is_valid():
        answer = try_instance(deployment=deployment, user=request.user, instance=form.instance())
        _show_faults(form, answer.body.get("errors", []))
        result = _result(answer, metadata) if answer.is_good else None
    context = head(deployment, "try") | {
        "form": form,
        "row_form": row,
        "answer": answer,
        "result": result,
        "begun": request.GET.get("from", ""),
        "changed": _changed(request, metadata),
    }
    if is_fragment(request):
        return render(request, "predictions/_answer.html", context)
    status = 200 if answer is None or answer.is_good else answer.status
    if form.errors or row.errors:
        status = max(status, 400)
    return render(request, "predictions/try.html", context, status=min(status, 503))


def _result(answer: Answer, metadata: dict[str, Any]) -> dict[str, Any]:
    """The prediction as it was recorded, in words. Relaxed deployments record it a bit later."""
    identifier = answer.body["predictionLogIds"][0]
    record = PredictionRecord.objects.filter(id=identifier).first()
    if record is None:
        return {"said": "The model answered", "sure": str(answer.body["predictions"][0])}
    said, sure = sentence(record, metadata)
    return {
        "record": record,
        "said": said,
        "sure": sure,
        "probabilities": probabilities(record, metadata),
    }


def _start(
    request: HttpRequest, deployment: Deployment, metadata: dict[str, Any], row: RowForm
) -> dict[str, Any]:
    """What the form begins with: a pasted row, a prediction with `to.NAME` changed, the newest
    prediction, or the example."""
    if row.is_bound and row.is_valid():
        return InstanceForm.initial_of(metadata, row.values)
    known = _known(request, deployment)
    if known is not None:
        changes = {f"f{at}": value for at, (_, value) in _changed(request, metadata).items()}
        return InstanceForm.initial_of(metadata, known.input_value) | changes
    instances = (metadata.get("exampleInput") or {}).get("instances") or [{}]
    return InstanceForm.initial_of(metadata, instances[0])


def _known(request: HttpRequest, deployment: Deployment) -> PredictionRecord | None:
    """The prediction that `from` names, by its id or as the last one."""
    found = predictions_of(deployment).filter(input__isnull=False)
    wanted = request.GET.get("from", "")
    if wanted == "last":
        return found.order_by("-id").first()
    try:
        return found.filter(id=UUID(wanted)).first()
    except ValueError:
        return None


def _changed(request: HttpRequest, metadata: dict[str, Any]) -> dict[int, tuple[str, str]]:
    """Label and new value of the features that the address changes, by their place."""
    features = metadata.get("features") or []
    return {
        at: (feature.get("label") or feature["name"], request.GET[_CHANGE + feature["name"]])
        for at, feature in enumerate(features)
        if _CHANGE + feature["name"] in request.GET
    }


def _show_faults(form: InstanceForm, errors: list[dict[str, Any]]) -> None:
    """Puts the gateway's faults at the fields that they speak of."""
    names = {feature["name"]: f"f{i}" for i, feature in enumerate(form.features)}
    for error in errors:
        form.add_error(names.get(error.get("feature")), error["message"])

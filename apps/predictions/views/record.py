"""One prediction or one request, with its record."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps.accounts.access import can, require, workspace_for
from apps.audit.models import Event, Seal
from apps.deployments.services import model_of
from apps.deployments.transformers import input_metadata
from apps.predictions.companion import Withheld
from apps.predictions.forms import ErasureForm
from apps.predictions.models import LogRecord, PredictionRecord
from apps.predictions.presentation import facts, probabilities, sentence, shortened
from apps.predictions.record_parts import added_to
from apps.predictions.selectors import count_of_case, find_request
from apps.predictions.sight import veiled, withheld_from
from apps.predictions.verification import content_of, steps_of
from apps.predictions.views.loading import is_fragment, load_record


@require_GET
def prediction(request, workspace_slug, identifier):
    record = load_record(request, workspace_slug, identifier, "prediction.view")
    return render_prediction(request, record, ErasureForm())


def render_prediction(
    request: HttpRequest, record: PredictionRecord, form: ErasureForm, *, status: int = 200
) -> HttpResponse:
    """The page of a prediction, with the form for its erasure as far as it was filled in."""
    assert record.revision is not None
    withheld = withheld_from(request.user)
    if record.id in withheld:
        return _render_withheld(request, record, withheld[record.id], status)
    version = model_of(record.revision)
    said, sure = sentence(record, version.metadata)
    siblings = PredictionRecord.objects.filter(request=record.request).order_by("position")
    context = _record_context(record) | {
        "version": version,
        "said": said,
        "sure": sure,
        "facts": facts(record.input_value, input_metadata(record.revision)),
        "between": record.model_input is not None or record.model_output is not None,
        "model_facts": facts(record.model_input_value, version.metadata),
        "probabilities": probabilities(record, version.metadata),
        "siblings": [each for each in veiled(siblings[:20], withheld) if each.id != record.id],
        "raw": json.dumps(shortened(content_of(record)), indent=2, ensure_ascii=False),
        "erasure": form,
        "erased": Event.objects.filter(
            object_type="prediction", object_id=str(record.id), name="prediction.erased"
        ).first(),
        "may_erase": can(request.user, "prediction.erase", record.deployment.workspace),
        "same_case": count_of_case(record),
    }
    return render(request, "predictions/detail.html", context, status=status)


def _render_withheld(
    request: HttpRequest, record: PredictionRecord, kept: Withheld, status: int
) -> HttpResponse:
    """The facts of a case that its reader judges blind, and how to go on."""
    assert record.revision is not None
    context = {
        "record": record,
        "deployment": record.deployment,
        "kept": kept,
        "facts": facts(record.input_value, input_metadata(record.revision)),
        "section": "deployments",
    }
    return render(request, "predictions/withheld.html", context, status=status)


@require_GET
def verify(request, workspace_slug, identifier):
    """Checks the record of a prediction step by step, and each thing that was added to it, now."""
    record = load_record(request, workspace_slug, identifier, "prediction.view")
    if not is_fragment(request):
        return redirect("predictions:detail", workspace_slug, identifier)
    return render(request, "predictions/_record.html", _record_context(record))


@require_GET
def refused_request(request, workspace_slug, identifier):
    workspace = workspace_for(request, workspace_slug)
    record = find_request(workspace, identifier)
    require(request.user, "prediction.view", workspace)
    context = _record_context(record) | {
        "predictions": veiled(
            record.predictions.order_by("position")[:100], withheld_from(request.user)
        )
    }
    return render(request, "predictions/request.html", context)


def _record_context(record: LogRecord) -> dict[str, Any]:
    is_prediction = isinstance(record, PredictionRecord)
    steps = steps_of(record)
    added = added_to(record.id) if is_prediction else []
    holds = all(step.holds for step in steps) and not any(each.fault for each in added)
    state = ("good", "Intact") if holds else ("bad", "Broken")
    if record.salt is None and state[0] == "good":
        state = ("none", "Erased")
    return {
        "record": record,
        "deployment": record.deployment,
        "steps": steps,
        "added": added,
        "record_state": state,
        "seal": Seal.objects.filter(writer_id=record.writer, number=record.seal).first(),
        "checked_at": timezone.now(),
        "is_prediction": is_prediction,
        "section": "deployments",
    }

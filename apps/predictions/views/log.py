"""The log of a deployment: filtered, live, and as a file."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from apps.core.query import Filter
from apps.deployments.import_views import waiting
from apps.deployments.models import Deployment
from apps.predictions import exporting, services
from apps.predictions.companion import Cell, candidates, companion
from apps.predictions.forms import FilterForm
from apps.predictions.found import Found
from apps.predictions.models import PredictionRecord
from apps.predictions.presentation import facts
from apps.predictions.selectors import page, predictions_of, refused_requests_of
from apps.predictions.sight import veiled, veiled_pages, withheld_from
from apps.predictions.views.loading import head, id_in, is_fragment, load_deployment, metadata_of

_MAIN_FEATURES = 3
# Filters by what the model said; those of the companion are by what was said of it.
_TELLING = ("outcome", "min_score", "max_score")
_NOTHING = Found(PredictionRecord.objects.none())


@require_GET
def prediction_list(request, workspace_slug, slug):
    deployment = load_deployment(request, workspace_slug, slug, "prediction.view")
    if elsewhere := waiting(deployment):
        return elsewhere
    metadata = metadata_of(deployment)
    form = FilterForm(deployment, metadata, request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    refused = bool(wanted.get("show"))
    before, after = id_in(request, "before"), id_in(request, "after")
    withheld = withheld_from(request.user)
    found = found_by(deployment, wanted, withheld) if form.is_valid() else _NOTHING
    shown = page(found, before=before, after=after)
    main = _main(metadata)
    context = head(deployment, "predictions") | {
        "form": form,
        "page": shown,
        "refused": refused,
        "main": [feature.get("label") or feature["name"] for feature in main],
        "rows": shown.rows if refused else _rows(veiled(shown.rows, withheld), metadata),
        "columns": companion().columns,
        "filtered": any(value not in ("", None) for value in wanted.values()),
        "case": wanted.get("custom_id", ""),
        "live": request.GET.get("live") == "1" and not (before or after),
        "can_be_live": not (before or after),
        "now": timezone.now(),
    }
    template = "_rows" if is_fragment(request) else "list"
    response = render(request, f"predictions/{template}.html", context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
def export(request, workspace_slug, slug):
    """The filtered predictions as a file. A POST, because it is recorded who took what."""
    deployment = load_deployment(request, workspace_slug, slug, "prediction.view")
    if elsewhere := waiting(deployment):
        return elsewhere
    metadata = metadata_of(deployment)
    form = FilterForm(deployment, metadata, request.GET)
    format_ = request.POST.get("format", "")
    if not form.is_valid() or form.cleaned_data["show"] or format_ not in exporting.WRITERS:
        messages.error(request, "Nothing was exported: choose predictions and a valid filter.")
        return redirect("predictions:list", workspace_slug, slug)
    services.record_export(
        deployment=deployment,
        format=format_,
        filters=sorted(name for name, value in form.cleaned_data.items() if value),
        by=request.user.actor,
        now=timezone.now(),
    )
    content_type, write = exporting.WRITERS[format_]
    names = [feature["name"] for feature in metadata.get("features") or []]
    withheld = withheld_from(request.user)
    found = found_by(deployment, form.cleaned_data, withheld)
    pages = veiled_pages(exporting.pages_of(found), withheld)
    response = StreamingHttpResponse(write(pages, names), content_type=content_type)
    name = f"{deployment.slug}-predictions-{timezone.now():%Y%m%d-%H%M%S}.{format_}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def found_by(
    deployment: Deployment, wanted: dict[str, Any], withheld: Collection[UUID] = ()
) -> Found:
    """The rows that a valid filter asks for; without those of `withheld` output where the filter
    would tell what it is."""
    times = {"start": wanted.get("start"), "end": wanted.get("end")}
    if show := wanted.get("show"):
        return Found(refused_requests_of(deployment, kind=show)).within(**times)
    revision = wanted.get("revision")
    rows = predictions_of(
        deployment,
        outcome=wanted.get("outcome", ""),
        custom_id=wanted.get("custom_id", ""),
        revision=int(revision) if revision else None,
        min_percent=wanted.get("min_score"),
        max_percent=wanted.get("max_score"),
    ).select_related("request", "revision")
    beside = [Filter(n, "eq", (v,)) for n in companion().filters if (v := wanted.get(n))]
    for each in beside:
        rows = rows.filter(companion().filters[each.name](each))
    if beside or any(wanted.get(name) not in ("", None) for name in _TELLING):
        rows = rows.exclude(id__in=withheld)
    among = None if wanted.get("custom_id") else candidates(deployment, beside)
    return Found(rows, among).within(**times)


def _main(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The features with a column in the list; none where the model takes tensors."""
    features: list[dict[str, Any]] = metadata.get("features") or []
    return features[:_MAIN_FEATURES]


def _rows(records: list[PredictionRecord], metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Each prediction with its main facts and with what stands beside it."""
    found, main = companion(), len(_main(metadata))
    cells = dict.fromkeys((each.id for each in records), [Cell("–")] * len(found.columns))
    cells |= found.cells([each for each in records if not each.is_withheld])
    return [
        {
            "record": record,
            "facts": facts(record.input_value, metadata)[:main],
            "score": float(record.score) if record.score else None,
            "cells": zip(found.columns, cells[record.id], strict=True),
        }
        for record in records
    ]

"""Pages of explanations: why one prediction came out so, and what a model believes."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.access import can
from apps.core.errors import DomainError
from apps.core.tables import csv_of
from apps.deployments.explainers import component_of
from apps.deployments.selectors import takes_a_form
from apps.explanations import comparison, general, services, summaries
from apps.explanations.exports import file_of
from apps.explanations.models import Explanation, ExplanationJob
from apps.explanations.panel import Panel
from apps.explanations.shown import panel_now
from apps.explanations.told import Told
from apps.predictions.models import PredictionRecord
from apps.predictions.views.loading import head, is_fragment, load_deployment, load_prediction


@require_GET
def prediction(request, workspace_slug, identifier):
    """Why a prediction came out so: a part of its page, or a page of its own."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.view")
    return _render(request, record)


def _render(
    request: HttpRequest, record: PredictionRecord, *, problem: str = "", status: int = 200
) -> HttpResponse:
    deployment = record.deployment
    assert record.revision is not None
    job = services.latest_job(record)
    context = {
        "record": record,
        "deployment": deployment,
        "panel": panel_now(record),
        "job": job if job and job.is_open and not services.is_lost(job, timezone.now()) else None,
        "has_explainer": component_of(record.revision) is not None,
        "may_explain": can(request.user, "deployment.try", deployment.workspace),
        "not_now": _not_now(record),
        "can_try": record.model_input is None
        and takes_a_form(deployment)
        and can(request.user, "deployment.try", deployment.workspace),
        "problem": problem or _last_problem(job),
        "section": "deployments",
    }
    template = "_panel" if is_fragment(request) else "prediction"
    response = render(request, f"explanations/{template}.html", context, status=status)
    response["Vary"] = "HX-Request"
    return response


def _last_problem(job: ExplanationJob | None) -> str:
    """Why the last attempt came to nothing, until a later one did not."""
    if job is None or not (job.is_open or job.error):
        return ""
    later = Explanation.objects.filter(prediction_id=job.prediction_id, erased_at=None)
    if later.filter(at__gt=job.state_at).exists():
        return ""
    if services.is_lost(job, timezone.now()):
        return "Nothing took it up, or what did has ended. See whether the worker runs; try again."
    return job.error


def _not_now(record: PredictionRecord) -> str:
    """Why a prediction cannot be explained now; empty where it can."""
    if record.output is None:
        return "It was erased."
    try:
        services.explaining_revision(record)
    except DomainError as error:
        return error.message
    return ""


@require_GET
def brief(request, workspace_slug, identifier):
    """What counted most, for a page that shows the case itself. Plain, it is the whole page."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.view")
    if not is_fragment(request):
        return redirect("explanations:prediction", workspace_slug, identifier)
    context = {"record": record, "deployment": record.deployment, "panel": panel_now(record)}
    return render(request, "explanations/_brief.html", context)


@require_POST
def explain(request, workspace_slug, identifier):
    """Has the worker ask the explainer; the page shows how far that is."""
    record = load_prediction(request, workspace_slug, identifier, "deployment.try")
    problem, status = "", 200
    try:
        services.ask_to_explain(prediction=record, by=request.user.actor, now=timezone.now())
    except DomainError as error:
        problem, status = error.message, error.status
    if is_fragment(request):
        # htmx swaps in what succeeds alone; the words stand in the part itself.
        return _render(request, record, problem=problem)
    if problem:
        return _render(request, record, problem=problem, status=status)
    return redirect("explanations:prediction", workspace_slug, identifier)


@require_GET
def file(request, workspace_slug, identifier, key, chart, kind):
    """A chart of an explanation as a figure or PNG, or its table as CSV."""
    record = load_prediction(request, workspace_slug, identifier, "prediction.view")
    told = _told(panel_now(record), key)
    name = f"{record.id}-{told.name}-{chart}"
    if chart == "changes" and kind == "csv" and told.has("counterfactuals"):
        return _changes(told, name)
    drawn = told.chart(chart)
    if drawn is None:
        raise Http404("This explanation has no such chart.")
    title = getattr(drawn, "title", "") or drawn.label
    return file_of(request, drawn, f"{title} · {told.method}", kind, name)


def _told(panel: Panel, key: str) -> Told:
    for told in panel.told:
        if told.key == key:
            return told
    raise Http404("This prediction has no such explanation.")


def _changes(told: Told, name: str) -> HttpResponse:
    rows: list[list[Any]] = [
        [number, change.label, change.before, change.after, alternative.then]
        for number, alternative in enumerate(told.alternatives, start=1)
        for change in alternative.changes
    ]
    content = csv_of(["Alternative", "Change", "from", "to", "The model then says"], rows)
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


@require_GET
def deployment(request, workspace_slug, slug):
    """What the model of a revision believes in general, alone or beside another revision."""
    found = load_deployment(request, workspace_slug, slug, "prediction.view")
    if found.kind != found.Kind.MANAGED:
        raise Http404("What runs elsewhere is not explained here.")
    revisions = general.explained_revisions(found)
    period = request.GET.get("period", "day")
    context = head(found, "explanations") | {
        "revisions": revisions,
        "periods": [(key, words) for key, (words, _) in general.PERIODS.items()],
        "period": period if period in general.PERIODS else "day",
        "may_ask": can(request.user, "deployment.try", found.workspace),
    }
    if revisions:
        context |= _general(request, context)
    template = "_general" if is_fragment(request) else "deployment"
    response = render(request, f"explanations/{template}.html", context)
    response["Vary"] = "HX-Request"
    return response


def _general(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    deployment, revisions, period = (context[k] for k in ("deployment", "revisions", "period"))
    now = timezone.now()
    chosen = _revision(revisions, request.GET.get("revision")) or revisions[0]
    beliefs = general.beliefs_of(chosen)
    other = _other(request, revisions, chosen)
    return {
        "beliefs": beliefs,
        "other": other,
        "others": [(each, general.is_computed(each)) for each in revisions if each != chosen],
        "rankings": list(comparison.rankings_of(beliefs, other)),
        "curves": comparison.beside(beliefs, other),
        "swarm": general.stored_swarm(deployment, beliefs, period=period, now=now),
        "coverage": general.coverage_of(deployment, period=period, now=now),
    }


def _other(request: HttpRequest, revisions: list[Any], chosen: Any) -> general.Beliefs | None:
    """What the revision beside believes, where one is named and that is known."""
    found = _revision(revisions, request.GET.get("other"))
    if found is None or found == chosen or not general.is_computed(found):
        return None
    return general.beliefs_of(found)


def _revision(revisions: list[Any], number: str | None) -> Any:
    return next((each for each in revisions if str(each.number) == number), None)


@require_POST
def summarise(request, workspace_slug, slug):
    """Asks the worker to compute what a revision believes, anew where it was computed."""
    found = load_deployment(request, workspace_slug, slug, "deployment.try")
    chosen = _revision(general.explained_revisions(found), request.POST.get("revision"))
    if chosen is None:
        raise Http404("There is no such revision with an explainer.")
    try:
        summaries.ask_for_summary(revision=chosen, by=request.user.actor, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    response = redirect("explanations:deployment", workspace_slug, slug)
    response["Location"] += f"?revision={chosen.number}"
    return response


@require_GET
def general_file(request, workspace_slug, slug, number, chart, kind):
    """A chart of what a revision believes as a figure or PNG, or its table as CSV."""
    found = load_deployment(request, workspace_slug, slug, "prediction.view")
    revisions = general.explained_revisions(found)
    chosen = _revision(revisions, str(number))
    if chosen is None:
        raise Http404("There is no such revision with an explainer.")
    beliefs = general.beliefs_of(chosen)
    if chart == "stored":
        return _stored_file(request, found, beliefs, kind)
    # A map of pairs shows one revision alone.
    other = None if chart == "interactions" else _other(request, revisions, chosen)
    drawn = comparison.chart_of(beliefs, other, chart)
    if drawn is None:
        raise Http404("There is no such chart.")
    title = getattr(drawn, "title", "") or drawn.label
    both = f"{chosen} and {other.revision}" if other else str(chosen)
    name = f"{found.slug}-{both.replace(' ', '-')}-{chart}"
    return file_of(request, drawn, f"{title} · {found.name} {both}", kind, name)


def _stored_file(request: HttpRequest, found: Any, beliefs: Any, kind: str) -> HttpResponse:
    """The contributions that were stored in the period that the query names."""
    period = request.GET.get("period", "day")
    if period not in general.PERIODS:
        raise Http404("There is no such period.")
    drawn = general.stored_swarm(found, beliefs, period=period, now=timezone.now())
    if drawn is None:
        raise Http404("Nothing was stored in this period.")
    words, _ = general.PERIODS[period]
    title = f"Stored contributions of the last {words} · {found.name} {beliefs.revision}"
    name = f"{found.slug}-{str(beliefs.revision).replace(' ', '-')}-stored-{period}"
    return file_of(request, drawn, title, kind, name)

"""The page of what people and time say of a deployment's predictions."""

from functools import partial

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps.accounts.access import can
from apps.core.plots import figure_page
from apps.core.tables import csv_of
from apps.deployments.import_views import waiting
from apps.monitoring.feedback import charts
from apps.monitoring.feedback.figures import PERIODS, feedback_of
from apps.monitoring.feedback.plotting import figure
from apps.predictions.views.loading import head, is_fragment, load_deployment

_USUAL = "30"


@require_GET
def feedback(request, workspace_slug, slug):
    """Disagreement, agreement, coverage and accuracy of a period."""
    deployment = load_deployment(request, workspace_slug, slug, "prediction.view")
    if elsewhere := waiting(deployment):
        return elsewhere
    days = _days(request)
    figures = feedback_of(deployment, days=int(days), now=timezone.now())
    shows_people = can(request.user, "reviewer.view", deployment.workspace)
    context = head(deployment, "feedback") | {
        "figures": figures,
        "charts": charts.charts_of(figures, shows_people=shows_people),
        "trust": charts.trust_words(figures),
        "strength": charts.strength(figures.fleiss),
        "waits": [charts.waited(each) for each in figures.turnaround.seconds],
        "accuracy": charts.accuracy_shown(figures, figures.accuracy),
        "shows_people": shows_people,
        "periods": PERIODS.items(),
        "days": days,
    }
    template = "_figures" if is_fragment(request) else "page"
    response = render(request, f"monitoring/feedback/{template}.html", context)
    response["Vary"] = "HX-Request"
    return response


@require_GET
def feedback_file(request, workspace_slug, slug, chart, kind):
    """The table of a chart as CSV, or its figure."""
    deployment = load_deployment(request, workspace_slug, slug, "prediction.view")
    figures = feedback_of(deployment, days=int(_days(request)), now=timezone.now())
    shows_people = can(request.user, "reviewer.view", deployment.workspace)
    found = charts.charts_of(figures, shows_people=shows_people).get(chart)
    if found is None:
        raise Http404("There is no such chart, or it shows single people.")
    if kind == "html":
        title = f"{found.title} · {deployment.name}"
        return figure_page(request, partial(figure, found), title)
    if kind != "csv":
        raise Http404("A chart leaves as csv or html.")
    response = HttpResponse(csv_of(*found.table()), content_type="text/csv; charset=utf-8")
    name = f"{deployment.slug}-feedback-{chart}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _days(request) -> str:
    given = request.GET.get("period", _USUAL)
    return given if given in PERIODS else _USUAL

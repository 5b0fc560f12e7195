"""Panels drawn from the rollups."""

from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apps.accounts.access import workspace_for
from apps.deployments.selectors import find_deployment
from apps.monitoring.presentation import tiles
from apps.monitoring.selectors import figures_of


@require_GET
def deployment_figures(request, workspace_slug, slug):
    """The strip of figures on a deployment's overview; the page asks for it again and again."""
    deployment = find_deployment(workspace_for(request, workspace_slug), slug)
    figures = figures_of(deployment, now=timezone.now())
    context = {"deployment": deployment, "figures": figures, "tiles": tiles(figures)}
    return render(request, "monitoring/_figures.html", context)

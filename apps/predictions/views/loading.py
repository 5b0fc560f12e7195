"""What every page of the log begins with."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest

from apps.accounts.access import require, workspace_for
from apps.deployments.models import Deployment
from apps.deployments.selectors import condition, find_deployment
from apps.deployments.transformers import input_metadata
from apps.predictions.models import PredictionRecord
from apps.predictions.selectors import find_prediction
from apps.predictions.sight import require_sight


def load_deployment(request, workspace_slug, slug, action) -> Deployment:
    workspace = workspace_for(request, workspace_slug)
    deployment = find_deployment(workspace, slug)
    require(request.user, action, workspace)
    return deployment


def load_prediction(request, workspace_slug, identifier, action) -> PredictionRecord:
    """For pages that show the output or what was said of it; 403 while that is withheld."""
    record = load_record(request, workspace_slug, identifier, action)
    require_sight(request.user, record)
    return record


def load_record(request, workspace_slug, identifier, action) -> PredictionRecord:
    workspace = workspace_for(request, workspace_slug)
    record = find_prediction(workspace, identifier)
    require(request.user, action, workspace)
    return record


def head(deployment: Deployment, tab: str) -> dict[str, Any]:
    return {
        "deployment": deployment,
        "condition": condition(deployment),
        "tab": tab,
        "section": "deployments",
    }


def metadata_of(deployment: Deployment) -> dict[str, Any]:
    """What callers send to what answers now, or to the newest revision."""
    return input_metadata(deployment.active_revision or deployment.revisions.all()[0])


def is_fragment(request: HttpRequest) -> bool:
    return bool(request.htmx and not request.htmx.boosted)  # type: ignore[attr-defined]


def id_in(request: HttpRequest, name: str) -> UUID | None:
    try:
        return UUID(request.GET.get(name, ""))
    except ValueError:
        return None

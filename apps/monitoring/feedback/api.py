"""The API of the figures of feedback."""

from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.accounts.access import can
from apps.accounts.authentication import TokenPrincipal
from apps.monitoring.feedback.charts import trust_words
from apps.monitoring.feedback.figures import PERIODS, Figures, feedback_of
from apps.predictions.log_view import LogView

_PEOPLE = ("reviewers", "pairs", "paces")


class Feedback(LogView):
    """Disagreement, agreement, coverage and accuracy; of single people only to an owner."""

    @extend_schema(
        parameters=[OpenApiParameter("period", str, description="Days: 7, 30, 90 or 365")],
        responses={200: OpenApiTypes.OBJECT},
        operation_id="feedback_figures",
    )
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment)
        days = request.query_params.get("period", "30")
        if days not in PERIODS:
            raise ValidationError({"period": f"Give one of {', '.join(PERIODS)}, in days."})
        figures = feedback_of(found, days=int(days), now=timezone.now())
        is_person = not isinstance(request.user, TokenPrincipal)
        shows_people = is_person and can(request.user, "reviewer.view", found.workspace)
        return Response(figures_out(figures, shows_people=shows_people))


def figures_out(figures: Figures, *, shows_people: bool) -> dict[str, Any]:
    """Everything in camel case; a share is `{count, n, value, low, high, reason}`."""
    found = {
        name: value
        for name, value in asdict(figures).items()
        if shows_people or name not in _PEOPLE
    }
    found["reviewer_count"] = len(figures.reviewers)
    found["rubber_stamp_warnings"] = figures.warned
    found["which_to_trust"] = trust_words(figures)
    wire: dict[str, Any] = _wire(found)
    return wire


def _wire(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _wire(asdict(value))
    if isinstance(value, dict):
        return {_camel(name): _wire(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)

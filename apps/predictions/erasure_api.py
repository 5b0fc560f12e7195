"""The API of erasure, over the same services as the pages."""

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Invalid
from apps.deployments.api import WorkspaceView
from apps.predictions import services
from apps.predictions.log_view import LogView
from apps.predictions.selectors import find_prediction

ANSWER = {200: OpenApiTypes.OBJECT}


class ErasureIn(serializers.Serializer):
    customId = serializers.CharField(max_length=200)
    reason = serializers.CharField(max_length=services.LONGEST_REASON)


class ErasesPrediction(LogView):
    """DELETE of one prediction erases its content and keeps its commitment.

    The base of the view that reads a prediction, which answers at the same address.
    """

    @extend_schema(
        responses=ANSWER,
        parameters=[OpenApiParameter("reason", str, description="Why; never whose.")],
    )
    def delete(self, request, workspace, deployment, identifier):
        found = self.deployment(request, workspace, deployment, "prediction.erase")
        record = find_prediction(found.workspace, identifier, deployment=found)
        erased = services.erase_prediction(
            prediction=record, reason=_reason(request), by=_actor(request), now=timezone.now()
        )
        return Response(_out(erased))


class CaseErasure(WorkspaceView):
    """All predictions of a case, by the caller's own id for it."""

    @extend_schema(request=ErasureIn, responses=ANSWER)
    def post(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "prediction.erase")
        body = ErasureIn(data=request.data)
        body.is_valid(raise_exception=True)
        erased = services.erase_by_custom_id(
            deployment=found,
            custom_id=body.validated_data["customId"],
            reason=body.validated_data["reason"],
            by=_actor(request),
            now=timezone.now(),
        )
        return Response(_out(erased))


def _reason(request: Request) -> str:
    """From the query or the body; many clients send no body with DELETE."""
    given = request.query_params.get("reason")
    if given is None and isinstance(request.data, dict):
        given = request.data.get("reason")
    if given is not None and not isinstance(given, str):
        raise Invalid("reason must be text.", [{"field": "reason", "message": "must be text"}])
    return given or ""


def _actor(request):
    return request.user.actor


def _out(erased: services.Erased) -> dict[str, object]:
    return {
        "predictionLogIds": [str(each) for each in erased.predictions],
        "requestLogIds": [str(each) for each in erased.requests],
        "complete": len(erased.predictions) < services.MOST_AT_ONCE,
    }

"""The API of the log: requests, predictions, and one prediction with its proof."""

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from apps.predictions.erasure_api import ErasesPrediction
from apps.predictions.log_query import (
    REQUEST_FILTERS,
    prediction_filters,
    predictions_asked_for,
    predictions_by_request,
    requests_asked_for,
)
from apps.predictions.log_view import LogView
from apps.predictions.models import PredictionRecord
from apps.predictions.proof import proof_of
from apps.predictions.serializers import predictions_out, proof_out, request_out
from apps.predictions.sight import veiled, withheld_from

_NUMBERS = [OpenApiParameter(name, int) for name in ("start", "end", "offset", "limit")]
_PAGES = [*_NUMBERS, *(OpenApiParameter(name, str) for name in ("sort", "before", "after"))]
_LIST = {200: OpenApiTypes.OBJECT}


class RequestLogs(LogView):
    @extend_schema(
        responses=_LIST,
        parameters=[
            *_PAGES,
            *(OpenApiParameter(name, str) for name in REQUEST_FILTERS),
            OpenApiParameter("includeRawBody", bool),
        ],
    )
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment)
        parameters = request.query_params.dict()
        rows = requests_asked_for(found, parameters)
        if parameters.get("includeRawBody", "").lower() not in ("true", "1"):
            return Response([request_out(row) for row in rows])
        predictions = predictions_by_request(rows)
        withheld = withheld_from(request.user)
        return Response([request_out(row, veiled(predictions[row.id], withheld)) for row in rows])


class PredictionLogs(LogView):
    @extend_schema(
        responses=_LIST,
        operation_id="prediction_log_list",
        parameters=[*_PAGES, *(OpenApiParameter(name, str) for name in prediction_filters())],
    )
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment)
        withheld = withheld_from(request.user)
        rows = predictions_asked_for(found, request.query_params.dict(), withheld)
        return Response(predictions_out(veiled(rows, withheld), withheld))


class PredictionLog(ErasesPrediction):
    @extend_schema(responses=_LIST, operation_id="prediction_log")
    def get(self, request, workspace, deployment, identifier):
        found = self.deployment(request, workspace, deployment)
        record = (
            PredictionRecord.objects.select_related("request")
            .filter(id=identifier, deployment=found)
            .first()
        )
        if record is None:
            raise Http404("There is no such prediction of this deployment.")
        withheld = withheld_from(request.user)
        rows = veiled([record], withheld)
        [shown] = predictions_out(rows, withheld)
        return Response(shown | {"record": proof_out(rows[0], proof_of(record))})

"""The API of explanations: of a recorded prediction, made now or by the worker, and those made."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.authentication import TokenPrincipal
from apps.audit.actor import Actor
from apps.deployments.models import Deployment
from apps.explanations import services
from apps.explanations.commitment import fault
from apps.explanations.models import Explanation, ExplanationJob
from apps.predictions.log_view import LogView
from apps.predictions.models import PredictionRecord
from apps.predictions.sight import require_sight

_ANSWER = {200: OpenApiTypes.OBJECT}


class ExplainIn(serializers.Serializer):
    """Body of POST explain: which methods, all by default, and whether the worker answers."""

    explainers = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, allow_null=True
    )

    def get_fields(self) -> dict[str, Any]:
        """`async` is a word of Python's own."""
        asks_worker = serializers.BooleanField(required=False, default=False)
        return super().get_fields() | {"async": asks_worker}


class ExplanationView(LogView):
    def prediction(
        self, request: Request, workspace: str, key: str, identifier: Any, *, acts: bool
    ) -> PredictionRecord:
        """The prediction, for whoever may read it; who has it explained may also try the model."""
        found = self._deployment(request, workspace, key, acts=acts)
        record = (
            PredictionRecord.objects.select_related("request", "revision", "deployment")
            .filter(id=identifier, deployment=found)
            .first()
        )
        if record is None:
            raise Http404("There is no such prediction of this deployment.")
        require_sight(request.user, record)
        return record

    def _deployment(self, request: Request, workspace: str, key: str, *, acts: bool) -> Deployment:
        if not isinstance(request.user, TokenPrincipal):
            action = "deployment.try" if acts else "prediction.view"
            return self.deployment(request, workspace, key, action)  # type: ignore[arg-type]
        found = self.deployment(request, workspace, key)
        if acts and "explain" not in request.user.token.scopes:
            raise PermissionDenied("This token has not the scope explain.")
        return found


class Explain(ExplanationView):
    @extend_schema(request=ExplainIn, responses=_ANSWER)
    def post(self, request, workspace, deployment, identifier):
        record = self.prediction(request, workspace, deployment, identifier, acts=True)
        body = ExplainIn(data=request.data)
        body.is_valid(raise_exception=True)
        given = {
            "prediction": record,
            "by": _actor(request),
            "now": timezone.now(),
            "names": body.validated_data.get("explainers"),
        }
        if body.validated_data["async"]:
            return Response(job_out(services.ask_to_explain(**given)), 202)
        made = services.explain_prediction(**given)
        return Response([explanation_out(each) for each in made], 201)


class Explanations(ExplanationView):
    @extend_schema(responses=_ANSWER, operation_id="explanation_list")
    def get(self, request, workspace, deployment, identifier):
        record = self.prediction(request, workspace, deployment, identifier, acts=False)
        later = Explanation.objects.filter(prediction_id=record.id).select_related("revision")
        recorded = [
            {
                "id": None,
                "predictionLogId": str(record.id),
                "name": each.get("name"),
                "method": each.get("method"),
                "revision": record.revision.number if record.revision else None,
                "explanation": each,
                "at": record.at.isoformat(),
                "recordedWithPrediction": True,
            }
            for each in record.explanation_values
        ]
        return Response([*recorded, *(explanation_out(each) for each in later.order_by("id"))])


class Job(ExplanationView):
    @extend_schema(responses=_ANSWER, operation_id="explanation_job")
    def get(self, request, workspace, deployment, identifier):
        found = self._deployment(request, workspace, deployment, acts=False)
        job = ExplanationJob.objects.filter(id=identifier, deployment=found).first()
        if job is None:
            raise Http404("There is no such job of this deployment.")
        return Response(job_out(job))


def explanation_out(explanation: Explanation) -> dict[str, Any]:
    """A later explanation as the API gives it."""
    erased = explanation.erased_at
    return {
        "id": str(explanation.id),
        "predictionLogId": str(explanation.prediction_id),
        "name": explanation.name,
        "method": explanation.method,
        "revision": explanation.revision.number,
        "explanation": explanation.content or None,
        "at": explanation.at.isoformat(),
        "by": {"kind": explanation.by_kind, "name": explanation.by_name},
        "digest": bytes(explanation.digest).hex(),
        "intact": fault(explanation) is None,
        "erasedAt": erased.isoformat() if erased else None,
        "recordedWithPrediction": False,
    }


def job_out(job: ExplanationJob) -> dict[str, Any]:
    return {
        "jobId": str(job.id),
        "predictionLogId": str(job.prediction_id),
        "explainers": job.names,
        "state": job.state,
        "stateAt": job.state_at.isoformat(),
        "error": job.error or None,
    }


def _actor(request: Request) -> Actor:
    """Whom the event names: the token or key pair where a program acts, else the person."""
    actor: Actor = getattr(request.auth or request.user, "actor")  # noqa: B009
    return actor

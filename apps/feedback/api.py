"""The API of feedback: evaluations of a prediction, and actuals in batches."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from apps.accounts.authentication import TokenPrincipal
from apps.deployments.models import Deployment
from apps.feedback import services
from apps.feedback.authors import author_of_call
from apps.feedback.body import BoundedJSONParser
from apps.feedback.models import Evaluation
from apps.feedback.selectors import actuals_of, evaluations_of, own_evaluation
from apps.feedback.serializers import (
    ActualsIn,
    EvaluationIn,
    actual_out,
    evaluation_out,
    judgement_of,
    result_out,
)
from apps.predictions.log_view import LogView
from apps.predictions.models import PredictionRecord
from apps.predictions.sight import require_sight

_ANSWER = {200: OpenApiTypes.OBJECT}


class FeedbackView(LogView):
    """For people with the right to evaluate, their key pairs, and tokens with the scope."""

    parser_classes = (BoundedJSONParser,)
    scope = "evaluate"

    def reading(self, request: Request, workspace: str, key: str, identifier: Any):
        record = self._prediction(self.deployment(request, workspace, key), identifier)
        require_sight(request.user, record)
        return record

    def acting(self, request: Request, workspace: str, key: str, identifier: Any):
        record = self._prediction(self.allowed(request, workspace, key), identifier)
        require_sight(request.user, record)
        return record

    def allowed(self, request: Request, workspace: str, key: str) -> Deployment:
        user = request.user
        if not isinstance(user, TokenPrincipal):
            return self.deployment(request, workspace, key, "prediction.evaluate")
        found = self.deployment(request, workspace, key)
        if self.scope not in user.token.scopes:
            raise PermissionDenied(f"This token has not the scope {self.scope}.")
        return found

    def _prediction(self, deployment: Deployment, identifier: Any) -> PredictionRecord:
        record = (
            PredictionRecord.objects.select_related("deployment", "revision")
            .filter(id=identifier, deployment=deployment)
            .first()
        )
        if record is None:
            raise Http404("There is no such prediction of this deployment.")
        return record


class Evaluate(FeedbackView):
    @extend_schema(request=EvaluationIn, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, workspace, deployment, identifier):
        record = self.acting(request, workspace, deployment, identifier)
        made = services.evaluate_prediction(
            prediction=record,
            judgement=judgement_of(_valid(EvaluationIn(data=request.data))),
            by=_author(request),
            now=timezone.now(),
        )
        return Response(evaluation_out(made), 201)


class OwnEvaluation(FeedbackView):
    """What the caller says of a prediction."""

    @extend_schema(responses=_ANSWER, operation_id="evaluation_own")
    def get(self, request, workspace, deployment, identifier):
        record = self.reading(request, workspace, deployment, identifier)
        return Response(evaluation_out(_own(request, record)))

    @extend_schema(request=EvaluationIn, responses=_ANSWER)
    def patch(self, request, workspace, deployment, identifier):
        record = self.acting(request, workspace, deployment, identifier)
        before = _own(request, record)
        body = _valid(EvaluationIn(data=request.data, partial=True))
        made = services.correct_evaluation(
            evaluation=before,
            prediction=record,
            judgement=judgement_of(body, before),
            by=_author(request),
            now=timezone.now(),
        )
        return Response(evaluation_out(made))

    @extend_schema(responses=_ANSWER)
    def delete(self, request, workspace, deployment, identifier):
        record = self.acting(request, workspace, deployment, identifier)
        made = services.withdraw_evaluation(
            evaluation=_own(request, record),
            prediction=record,
            by=_author(request),
            now=timezone.now(),
        )
        return Response(evaluation_out(made))


class Evaluations(FeedbackView):
    """All that was said of a prediction, what was superseded and withdrawn included."""

    @extend_schema(responses=_ANSWER, operation_id="evaluation_list")
    def get(self, request, workspace, deployment, identifier):
        record = self.reading(request, workspace, deployment, identifier)
        return Response([evaluation_out(each) for each in evaluations_of(record)])


class ActualHistory(FeedbackView):
    """All that was reported as the actual of a prediction, oldest first."""

    @extend_schema(responses=_ANSWER, operation_id="actual_list")
    def get(self, request, workspace, deployment, identifier):
        record = self.reading(request, workspace, deployment, identifier)
        return Response([actual_out(each) for each in actuals_of(record)])


class Actuals(FeedbackView):
    """What turned out to be true, a batch at a time."""

    scope = "actuals"

    @extend_schema(request=ActualsIn, responses=_ANSWER)
    def put(self, request, workspace, deployment):
        found = self.allowed(request, workspace, deployment)
        results = services.record_actuals(
            deployment=found,
            rows=_rows(_valid(ActualsIn(data=request.data))),
            by=_author(request),
            now=timezone.now(),
        )
        return Response([result_out(each) for each in results])


def _rows(body: dict[str, Any]) -> list[services.Given]:
    """Values and ids in their order; there must be as many of both."""
    names = [name for name in ("predictionIds", "customIds") if name in body]
    if len(names) != 1:
        text = "Give predictionIds or customIds, one of them, in the order of actualValues."
        raise ValidationError({"predictionIds": text})
    [name] = names
    values, keys = body["actualValues"], body[name]
    if len(keys) != len(values):
        text = f"There are {len(keys):,} of them and {len(values):,} actualValues."
        raise ValidationError({name: text})
    key = "prediction_id" if name == "predictionIds" else "custom_id"
    return [services.Given(value, **{key: k}) for k, value in zip(keys, values, strict=True)]


def _own(request: Request, record: PredictionRecord) -> Evaluation:
    found = own_evaluation(record, _author(request))
    if found is None:
        raise Http404("You have not evaluated this prediction.")
    return found


def _author(request: Request):
    return author_of_call(request.user, request.auth)


def _valid(body: Serializer) -> dict[str, Any]:
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)

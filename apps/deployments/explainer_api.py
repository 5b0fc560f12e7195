"""Explainers on the wire: modules and backgrounds to upload, and proposals."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.access import can, find_workspace, require
from apps.deployments.explainer_choice import COSTS, proposals
from apps.deployments.explainer_files import (
    backgrounds_in,
    explainers_in,
    take_background,
    take_explainer,
)
from apps.registry.models import Artifact, ModelVersion
from apps.registry.services import Upload

_ANSWER = {200: OpenApiTypes.OBJECT}


class BackgroundIn(serializers.Serializer):
    """The file of a background: CSV or Parquet."""

    file = serializers.FileField()


class ExplainerModuleIn(serializers.Serializer):
    """The file of an explainer's module: one .py, or a zip with explainer.py."""

    file = serializers.FileField()


class ExplainerFields(serializers.Serializer):
    """The keys of a deployment's body that describe its explainer."""

    explainerType = serializers.IntegerField(required=False, allow_null=True)
    explainerReference = serializers.JSONField(required=False, allow_null=True)
    explainers = serializers.JSONField(required=False, allow_null=True)
    explainerReason = serializers.CharField(max_length=500, required=False, allow_blank=True)
    explainerArgs = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True
    )
    explainerEnvironmentVariableIds = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_null=True
    )
    explainerRows = serializers.IntegerField(required=False, allow_null=True)
    explainerSampling = serializers.CharField(required=False, allow_null=True, max_length=10)
    explainerSeed = serializers.IntegerField(required=False, allow_null=True)
    explainerMinReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    explainerMaxReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    explainerMemLimit = serializers.IntegerField(required=False, allow_null=True)


class Modules(APIView):
    """The modules of a workspace's explainers."""

    parser_classes = (MultiPartParser, FormParser)

    @extend_schema(responses=_ANSWER, operation_id="explainer_module_list")
    def get(self, request, workspace):
        found = find_workspace(request.user, workspace)
        require(request.user, "workspace.view", found)
        return Response([_module_out(each) for each in explainers_in(found)])

    @extend_schema(request=ExplainerModuleIn, responses=_ANSWER)
    def post(self, request, workspace):
        found = find_workspace(request.user, workspace)
        require(request.user, "deployment.create", found)
        body = ExplainerModuleIn(data=request.data)
        body.is_valid(raise_exception=True)
        file = body.validated_data["file"]
        artifact = take_explainer(found, Upload(file.name, file.chunks()))
        may = can(request.user, "scan.override", found)
        return Response(_module_out(artifact) | {"mayAnswer": may}, 201)


def _module_out(artifact: Artifact) -> dict[str, Any]:
    return {
        "id": str(artifact.id),
        "filename": artifact.filename,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "risk": artifact.scan["risk"],
        "findings": artifact.scan["findings"],
        "createdAt": artifact.created_at.isoformat(),
    }


class Backgrounds(APIView):
    """The tables of a workspace that explainers may measure against."""

    parser_classes = (MultiPartParser, FormParser)

    @extend_schema(responses=_ANSWER, operation_id="background_list")
    def get(self, request, workspace):
        found = find_workspace(request.user, workspace)
        require(request.user, "workspace.view", found)
        return Response([_background_out(each) for each in backgrounds_in(found)])

    @extend_schema(request=BackgroundIn, responses=_ANSWER)
    def post(self, request, workspace):
        found = find_workspace(request.user, workspace)
        require(request.user, "deployment.create", found)
        body = BackgroundIn(data=request.data)
        body.is_valid(raise_exception=True)
        file = body.validated_data["file"]
        artifact = take_background(found, Upload(file.name, file.chunks()))
        return Response(_background_out(artifact), 201)


class Proposals(APIView):
    """Which methods are proposed for a model version."""

    @extend_schema(
        responses=_ANSWER,
        operation_id="explainer_proposals",
        parameters=[OpenApiParameter("modelVersionId", str, required=True)],
    )
    def get(self, request, workspace):
        found = find_workspace(request.user, workspace)
        require(request.user, "workspace.view", found)
        identifier = request.query_params.get("modelVersionId", "")
        versions = ModelVersion.objects.select_related("artifact", "reference")
        try:
            version = versions.get(id=UUID(identifier), model__workspace=found)
        except (ModelVersion.DoesNotExist, ValueError):
            raise _wrong("modelVersionId", "There is no such model version here.") from None
        return Response([_proposal_out(each) for each in proposals(version)])


def _proposal_out(proposal: Any) -> dict[str, Any]:
    return {
        "method": proposal.method,
        "name": proposal.words.name,
        "answers": proposal.words.answers,
        "cost": proposal.words.cost,
        "costInWords": COSTS[proposal.words.cost],
        "recommended": proposal.recommended,
        "missing": proposal.missing or None,
    }


def _background_out(artifact: Artifact) -> dict[str, Any]:
    return {
        "id": str(artifact.id),
        "filename": artifact.filename,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "rows": artifact.scan.get("rows"),
        "createdAt": artifact.created_at.isoformat(),
    }


def _wrong(key: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({key: message})

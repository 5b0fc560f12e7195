"""Explainers on the wire: modules and backgrounds to upload, and proposals."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.access import find_workspace, require
from apps.deployments.explainer_choice import COSTS, proposals
from apps.deployments.explainer_files import (
    backgrounds_in,
    explainers_in,
    take_background,
    take_explainer,
)
from apps.deployments.upload_api import FileKind, WorkspaceFiles
from apps.registry.models import ModelVersion

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


@extend_schema_view(
    get=extend_schema(responses=_ANSWER, operation_id="explainer_module_list"),
    post=extend_schema(request=ExplainerModuleIn, responses=_ANSWER),
)
class Modules(WorkspaceFiles):
    """The modules of a workspace's explainers."""

    kind = FileKind(explainers_in, take_explainer, ("risk", "findings"), is_code=True)
    body = ExplainerModuleIn


@extend_schema_view(
    get=extend_schema(responses=_ANSWER, operation_id="background_list"),
    post=extend_schema(request=BackgroundIn, responses=_ANSWER),
)
class Backgrounds(WorkspaceFiles):
    """The tables of a workspace that explainers may measure against."""

    kind = FileKind(backgrounds_in, take_background, ("rows",))
    body = BackgroundIn


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


def _wrong(key: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({key: message})

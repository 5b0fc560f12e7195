"""Explainers on the wire: backgrounds to upload, proposals, and a part of a deployment's body."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.access import find_workspace, require
from apps.accounts.models import Workspace
from apps.core.errors import Invalid
from apps.deployments.explainer_choice import COSTS, proposals
from apps.deployments.explainer_files import backgrounds_in, take_background
from apps.deployments.explainers import NO_EXPLAINER, Explainer, Method, methods_of
from apps.deployments.models import Component
from apps.deployments.run_settings import RunSettings
from apps.registry.models import Artifact, ModelVersion
from apps.registry.services import Upload

_ANSWER = {200: OpenApiTypes.OBJECT}
_RUN = {
    "explainerMinReplicas": "min_replicas",
    "explainerMaxReplicas": "max_replicas",
    "explainerMemLimit": "memory_mb",
}
# The official client's numbers; 9 is the library's own where that computes it.
_TYPES = {
    1: "anchors", 4: "shap.permutation", 5: "partial_dependence", 6: "counterfactuals",
    9: "shap.tree", 10: "saliency",
}  # fmt: skip
_NUMBERS = {method: number for number, method in _TYPES.items()} | {
    "shap.native": 9, "shap.interventional": 9, "shap.exact": 4, "shap.linear": 4,
}  # fmt: skip
_CUSTOM = 7
_NATIVE = {"xgboost", "lightgbm", "catboost"}


class BackgroundIn(serializers.Serializer):
    """The file of a background: CSV or Parquet."""

    file = serializers.FileField()


class ExplainerFields(serializers.Serializer):
    """The keys of a deployment's body that describe its explainer."""

    explainerType = serializers.IntegerField(required=False, allow_null=True)
    explainerReference = serializers.JSONField(required=False, allow_null=True)
    explainers = serializers.JSONField(required=False, allow_null=True)
    explainerRows = serializers.IntegerField(required=False, allow_null=True)
    explainerSampling = serializers.CharField(required=False, allow_null=True, max_length=10)
    explainerSeed = serializers.IntegerField(required=False, allow_null=True)
    explainerMinReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    explainerMaxReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    explainerMemLimit = serializers.IntegerField(required=False, allow_null=True)


def explainer_in(
    data: dict[str, Any],
    workspace: Workspace,
    version: ModelVersion | None,
    kept: Explainer | None = None,
) -> Explainer | None:
    """The explainer that a body asks for; None where it says nothing of one.

    `explainers` counts before `explainerType`, which the official client sends as 0 unasked.
    `kept` is that of the newest revision, over which single keys may change. Raises Invalid.
    """
    named = _named(data, version)
    if named == ():
        return NO_EXPLAINER
    given = _changed(data, workspace)
    run = any(data.get(key) is not None for key in _RUN)
    base = kept or Explainer()
    if named is None and (not base.is_given or not (given or run)):
        return None
    values = {name: getattr(base, name) for name in Explainer.__slots__} | given
    if named is not None:
        values["methods"] = named
    return Explainer(**values | {"run": _run(data, base.run)})


def _named(data: dict[str, Any], version: ModelVersion | None) -> tuple[Method, ...] | None:
    """The methods that a body names; none of them takes the explainer away."""
    if data.get("explainers") is not None:
        return methods_of(data["explainers"])
    kind = data.get("explainerType")
    if kind is None:
        gone = "explainerReference" in data and data["explainerReference"] is None
        return () if gone or ("explainers" in data and data["explainers"] is None) else None
    if kind == 0:
        return ()
    if kind not in _TYPES:
        known = ", ".join(f"{number} ({method})" for number, method in _TYPES.items())
        message = f"{kind} is not offered here; there are 0 (none), {known}, and explainers."
        raise Invalid(f"explainerType: {message}", [{"field": "explainerType", "message": message}])
    method = _TYPES[kind]
    if method == "shap.tree" and version is not None and version.framework in _NATIVE:
        method = "shap.native"
    return (Method(method, method),)


def _changed(data: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
    keys = {"explainerRows": "rows", "explainerSampling": "sampling", "explainerSeed": "seed"}
    given = {name: data[key] for key, name in keys.items() if data.get(key) is not None}
    if data.get("explainerReference"):
        given["background"] = _background(data["explainerReference"], workspace)
    return given


def _background(reference: Any, workspace: Workspace) -> Artifact:
    """What `{"deeploy": {"backgroundId"}}` names, bare or below "reference"."""
    inner = reference.get("reference", reference) if isinstance(reference, dict) else None
    own = inner.get("deeploy") if isinstance(inner, dict) else None
    if not isinstance(own, dict) or not own.get("backgroundId"):
        raise _wrong(
            "explainerReference",
            'names no background ({"deeploy": {"backgroundId": "…"}}); methods are named in '
            "explainers",
        )
    try:
        return backgrounds_in(workspace).get(id=UUID(str(own["backgroundId"])))
    except (Artifact.DoesNotExist, ValueError):
        raise _wrong("explainerReference", "There is no such background here.") from None


def _run(data: dict[str, Any], base: RunSettings) -> RunSettings:
    """Fewer than one replica, the client's default, is taken as one."""
    values = {name: getattr(base, name) for name in RunSettings.__slots__}
    values |= {field: data[key] for key, field in _RUN.items() if data.get(key) is not None}
    values["min_replicas"] = max(1, values["min_replicas"])
    values["max_replicas"] = max(values["min_replicas"], values["max_replicas"])
    return RunSettings(**values)


def explainer_type(explainer: Explainer | None) -> int:
    """The official client's number of the first method; custom where it has none."""
    if explainer is None or not explainer.methods:
        return 0
    return _NUMBERS.get(explainer.methods[0].method, _CUSTOM)


def explainer_out(explainer: Explainer | None, component: Component | None) -> dict[str, Any]:
    """The part of a revision that tells of its explainer."""
    if explainer is None or component is None:
        return {"explainerType": 0, "explainers": [], "explainerReference": None}
    artifact, said = component.artifact, component.signature
    took = {each["name"]: each["milliseconds"] for each in said.get("explainers") or ()}
    return {
        "explainerType": explainer_type(explainer),
        "explainers": [
            method.as_json() | {"exampleMilliseconds": took.get(method.name)}
            for method in explainer.methods
        ],
        "explainerReference": {
            "deeploy": {
                "backgroundId": str(artifact.id) if artifact else None,
                "isReferenceData": explainer.background is None,
                "rows": explainer.rows,
                "sampling": explainer.sampling,
                "seed": explainer.seed,
                "used": said.get("background"),
            }
        },
        "explainerMinReplicas": explainer.run.min_replicas,
        "explainerMaxReplicas": explainer.run.max_replicas,
        "explainerMemLimit": explainer.run.memory_mb,
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

"""Deployments on the wire, with the names that the official client knows."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from apps.accounts.models import Workspace
from apps.deployments.backends import NAMES as BACKENDS
from apps.deployments.explainer_api import ExplainerFields
from apps.deployments.explainer_wire import explainer_out
from apps.deployments.explainers import component_of as explainer_component
from apps.deployments.explainers import explainer_of
from apps.deployments.import_wire import import_out
from apps.deployments.models import Deployment, Revision, UseCase
from apps.deployments.outside_api import TYPES, endpoint_out
from apps.deployments.selectors import coming_revision, condition, import_for, newest_revision
from apps.deployments.services import RunSettings, config_of, model_of
from apps.deployments.transformer_api import TransformerFields, transformer_out
from apps.deployments.transformers import transformer_of
from apps.registry.models import ModelVersion

MODEL_TYPES = {
    0: "tensorflow", 1: "pytorch", 2: "sklearn", 3: "xgboost", 4: "onnx", 6: "custom",
    7: "lightgbm", 10: "catboost",
}  # fmt: skip
# The client knows the status as a number only: deploying, ready, error, stopped.
STATUS = {"warn": 0, "good": 1, "bad": 2, "none": 3}


def revision_out(revision: Revision | None) -> dict[str, Any] | None:
    if revision is None:
        return None
    version, config = model_of(revision), config_of(revision)
    return {
        "id": str(revision.id),
        "number": revision.number,
        "state": revision.state,
        "stateAt": revision.state_at.isoformat(),
        "modelVersionId": str(version.id),
        "model": str(version),
        "backend": revision.backend,
        "endpoint": endpoint_out(version) or None,
        "transformer": transformer_out(transformer_of(revision)),
        **explainer_out(explainer_of(revision), explainer_component(revision)),
        "settings": revision.settings,
        "modelArgs": config.get("args", []),
        "modelEnvironmentVariableIds": config.get("variableIds", []),
        "note": revision.note,
        "error": revision.error or None,
        "createdBy": str(revision.created_by_id),
        "createdAt": revision.created_at.isoformat(),
    }


def deployment_out(deployment: Deployment) -> dict[str, Any]:
    newest = newest_revision(deployment)
    state = condition(deployment)
    failed = newest is not None and newest.state == Revision.State.FAILED
    path = f"/workspaces/{deployment.workspace.slug}/deployments/{deployment.slug}"
    status = STATUS[state.kind]
    return {
        "id": str(deployment.id),
        "name": deployment.name,
        "slug": deployment.slug,
        "workspaceId": str(deployment.workspace_id),
        "deploymentAuthorization": {"ownerId": str(deployment.owner_id)},
        "useCaseId": str(deployment.use_case_id),
        "useCase": use_case_out(deployment.use_case),
        "publicURL": f"{settings.BASE_URL}{path}",
        "description": deployment.description,
        "deploymentType": TYPES[Deployment.Kind(deployment.kind)],
        "durability": deployment.durability,
        "desired": deployment.desired,
        "state": state.word,
        "status": 1 if status == 0 and deployment.active_revision_id else status,
        "activeVersion": revision_out(deployment.active_revision),
        "updatingTo": revision_out(coming_revision(deployment)),
        "lastVersion": revision_out(newest),
        "errorDetails": [{"message": newest.error, "log": newest.error_log}]
        if newest and failed
        else ([] if newest else import_out(import_for(deployment))),
        "tagIds": [],
        "algorithmRegisterLarsCodes": None,
        "createdAt": deployment.created_at.isoformat(),
        "updatedAt": deployment.updated_at.isoformat(),
    }


def use_case_out(use_case: UseCase) -> dict[str, Any]:
    return {
        "id": str(use_case.id),
        "name": use_case.name,
        "description": use_case.description,
        "riskClassification": use_case.risk,
        "stage": use_case.stage,
    }


class UseCaseIn(serializers.Serializer):
    """Body of POST useCases."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    riskClassification = serializers.ChoiceField(UseCase.Risk.choices, required=False)
    stage = serializers.ChoiceField(UseCase.Stage.choices, required=False)


class RevisionIn(ExplainerFields, TransformerFields):
    """The part of a deployment's body that makes a revision. Unknown keys are ignored, as the
    official client sends many; keys that ask for what is not offered are refused."""

    deploymentType = serializers.CharField(required=False)
    modelType = serializers.IntegerField(required=False, allow_null=True)
    modelVersionId = serializers.UUIDField(required=False)
    modelReference = serializers.JSONField(required=False, allow_null=True)
    modelMinReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    modelMaxReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    modelMemLimit = serializers.IntegerField(required=False, allow_null=True)
    modelArgs = serializers.ListField(
        child=serializers.CharField(max_length=1000), required=False, allow_null=True
    )
    modelEnvironmentVariableIds = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_null=True
    )
    backend = serializers.ChoiceField(BACKENDS, required=False)
    note = serializers.CharField(max_length=300, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = attrs.get("deploymentType", "KServe")
        if kind != "KServe":
            raise serializers.ValidationError(
                {
                    "deploymentType": f"{kind} is not offered here; send KServe, External, "
                    "Registration, or leave it out."
                }
            )
        temporary = [
            key for key in self.initial_data if key.startswith("model") and "Temporary" in key
        ]
        if temporary:
            message = "Temporary credentials are not kept here; add a credential, and send its id."
            raise serializers.ValidationError({temporary[0]: message})
        return attrs

    def model_version(self, workspace: Workspace) -> ModelVersion | None:
        """The version that the body names; None where it names none."""
        data = self.validated_data
        identifier = data.get("modelVersionId")
        reference = (data.get("modelReference") or {}).get("reference") or {}
        if not identifier and isinstance(reference, dict):
            identifier = (reference.get("deeploy") or {}).get("modelVersionId")
        if not identifier:
            return None
        return self._found(workspace, identifier)

    def _found(self, workspace: Workspace, identifier: Any) -> ModelVersion:
        versions = ModelVersion.objects.select_related("model", "artifact")
        try:
            version = versions.get(id=identifier, model__workspace=workspace)
        except (ModelVersion.DoesNotExist, ValueError, TypeError):
            message = "There is no such model version in this workspace."
            raise serializers.ValidationError({"modelVersionId": message}) from None
        wanted = self.validated_data.get("modelType")
        if wanted is not None and MODEL_TYPES.get(wanted) != version.framework:
            message = f"{version} is {version.get_framework_display()}, not model type {wanted}."
            raise serializers.ValidationError({"modelType": message})
        return version

    def config(self, base: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """What the containers of a custom image get, over `base`; None where nothing is said."""
        keys = {"modelArgs": "args", "modelEnvironmentVariableIds": "variableIds"}
        given = {
            name: [str(each) for each in self.validated_data[key]]
            for key, name in keys.items()
            if self.validated_data.get(key) is not None
        }
        return (base or {}) | given if given else None

    def run(self, base: RunSettings | None = None) -> RunSettings | None:
        """The settings that the body asks for, over `base`; None where it asks for none.

        Fewer than one replica, the client's default, is taken as one.
        """
        keys = {
            "modelMinReplicas": "min_replicas",
            "modelMaxReplicas": "max_replicas",
            "modelMemLimit": "memory_mb",
        }
        given = {
            field: self.validated_data[key]
            for key, field in keys.items()
            if self.validated_data.get(key) is not None
        }
        if not given:
            return None
        values = {name: getattr(base or RunSettings(), name) for name in RunSettings.__slots__}
        values |= given
        values["min_replicas"] = max(1, values["min_replicas"])
        values["max_replicas"] = max(values["min_replicas"], values["max_replicas"])
        return RunSettings(**values)


class DeploymentIn(RevisionIn):
    """Body of POST deployments."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(
        max_length=500, required=False, allow_blank=True, allow_null=True
    )
    useCaseId = serializers.UUIDField(required=False, allow_null=True)
    durability = serializers.ChoiceField(Deployment.Durability.choices, required=False)
    repositoryId = serializers.CharField(required=False, allow_null=True)
    branchName = serializers.CharField(required=False, allow_null=True, max_length=250)
    commit = serializers.CharField(required=False, allow_null=True, max_length=250)
    contractPath = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=500
    )
    metadata = serializers.DictField(required=False, allow_null=True)
    modelCard = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    dataCard = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    modelBlobCredentialsId = serializers.CharField(required=False, allow_null=True)
    modelDockerCredentialsId = serializers.CharField(required=False, allow_null=True)


class DetailsIn(serializers.Serializer):
    """Body of PATCH description."""

    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    useCaseId = serializers.UUIDField(required=False)
    durability = serializers.ChoiceField(Deployment.Durability.choices, required=False)

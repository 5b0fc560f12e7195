"""Transformers on the wire: modules to upload, and the part of a deployment's body."""

from typing import Any, Literal

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from apps.accounts.access import require
from apps.accounts.models import User, Workspace
from apps.deployments.run_settings import RunSettings
from apps.deployments.transformer_files import take_module, transformers_in
from apps.deployments.transformers import NO_TRANSFORMER, Transformer
from apps.deployments.upload_api import FileKind, WorkspaceFiles
from apps.registry.models import Artifact

_ANSWER = {200: OpenApiTypes.OBJECT}
_RUN = {
    "transformerMinReplicas": "min_replicas",
    "transformerMaxReplicas": "max_replicas",
    "transformerMemLimit": "memory_mb",
}


class ModuleIn(serializers.Serializer):
    """The file of a transformer: one .py, or a zip with transformer.py."""

    file = serializers.FileField()


class TransformerFields(serializers.Serializer):
    """The keys of a deployment's body that describe its transformer."""

    transformerType = serializers.ChoiceField([0, 1], required=False, allow_null=True)
    transformerReference = serializers.JSONField(required=False, allow_null=True)
    transformerReason = serializers.CharField(max_length=500, required=False, allow_blank=True)
    transformerRequirements = serializers.CharField(required=False, allow_blank=True)
    transformerMetadata = serializers.JSONField(required=False, allow_null=True)
    transformerArgs = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True
    )
    transformerEnvironmentVariableIds = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True
    )
    transformerMinReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    transformerMaxReplicas = serializers.IntegerField(required=False, min_value=0, allow_null=True)
    transformerMemLimit = serializers.IntegerField(required=False, allow_null=True)


def transformer_in(
    data: dict[str, Any], workspace: Workspace, by: User, kept: Transformer | None = None
) -> Transformer | None:
    """The transformer that a body asks for; None where it says nothing of one.

    `kept` is that of the newest revision, over which single keys may change.
    """
    reference = data.get("transformerReference")
    if data.get("transformerType") == 0 or ("transformerReference" in data and reference is None):
        return NO_TRANSFORMER
    named = referenced(reference, workspace) if reference else {}
    given = named | _changed(data)
    asks = given or data.get("transformerType") or any(data.get(k) is not None for k in _RUN)
    base = kept or Transformer()
    if not asks or (not data.get("transformerType") and not named and not base.is_given):
        return None
    if not named and not base.is_given:
        raise _wrong("transformerReference", "Say which transformer: an image, or a module.")
    values = {name: getattr(base, name) for name in Transformer.__slots__}
    if named:
        values |= {"artifact": None, "image": "", "reason": "", "answered_by": ""}
    values |= given
    if data.get("transformerReason"):
        require(by, "scan.override", workspace)
        values["answered_by"] = by.name
    return Transformer(**values | {"run": _run(data, base.run)})


def transformer_for_import(
    data: dict[str, Any], workspace: Workspace, by: User, *, from_git: bool
) -> tuple[Transformer | None, Literal["no", "may", "must"]]:
    """The transformer of a deployment that waits for its import, and whether its contract folder
    may or must bring it; the official client asks with 0 for none, and with 1 for one."""
    if data.get("transformerType") == 0:
        return None, "no"
    if data.get("transformerReference"):
        return transformer_in(data, workspace, by), "no"
    if data.get("transformerReason"):
        require(by, "scan.override", workspace)
    if data.get("transformerType") and not from_git:
        raise _wrong("transformerReference", "Say which transformer: an image, or a module.")
    given = _changed(data) | {"run": _run(data, RunSettings())}
    answered = by.name if data.get("transformerReason") else ""
    said = Transformer(**given, answered_by=answered)
    if not from_git:
        return said, "no"
    return said, "must" if data.get("transformerType") else "may"


def referenced(reference: Any, workspace: Workspace) -> dict[str, Any]:
    """What `{"docker": {"image", "uri", "port"}}` or `{"deeploy": {"artifactId"}}` names, bare or
    below "reference" as in reference.json."""
    inner = reference.get("reference", reference) if isinstance(reference, dict) else None
    if not isinstance(inner, dict):
        raise _wrong("transformerReference", "must be an object with docker or deeploy")
    docker, own = inner.get("docker"), inner.get("deeploy")
    if isinstance(docker, dict) and docker.get("image"):
        port = docker.get("port") or 8080
        if not isinstance(port, int) or not 1 <= port <= 65535:
            raise _wrong("transformerReference", "docker.port must be from 1 to 65535")
        uri = str(docker.get("uri") or "")
        return {"image": str(docker["image"]), "port": port, "readiness_path": uri}
    if isinstance(own, dict) and own.get("artifactId"):
        return {"artifact": _artifact(workspace, own["artifactId"])}
    raise _wrong(
        "transformerReference",
        'names neither an image ({"docker": {"image": "…"}}) nor an uploaded module '
        '({"deeploy": {"artifactId": "…"}})',
    )


def _artifact(workspace: Workspace, identifier: Any) -> Artifact:
    try:
        return transformers_in(workspace).get(id=identifier)
    except (Artifact.DoesNotExist, ValueError, TypeError):
        raise _wrong("transformerReference", "There is no such module here.") from None


def _changed(data: dict[str, Any]) -> dict[str, Any]:
    keys = {
        "transformerReason": "reason",
        "transformerRequirements": "requirements",
        "transformerMetadata": "metadata",
        "transformerArgs": "args",
        "transformerEnvironmentVariableIds": "variable_ids",
    }
    empty: dict[str, Any] = {"metadata": {}, "args": (), "variable_ids": ()}
    given = {name: data[key] for key, name in keys.items() if key in data}
    return {k: empty.get(k, "") if v is None else v for k, v in given.items()}


def _run(data: dict[str, Any], base: RunSettings) -> RunSettings:
    """Fewer than one replica, the client's default, is taken as one."""
    values = {name: getattr(base, name) for name in RunSettings.__slots__}
    values |= {field: data[key] for key, field in _RUN.items() if data.get(key) is not None}
    values["min_replicas"] = max(1, values["min_replicas"])
    values["max_replicas"] = max(values["min_replicas"], values["max_replicas"])
    return RunSettings(**values)


def transformer_out(transformer: Transformer | None) -> dict[str, Any] | None:
    """A transformer as the API gives it."""
    if transformer is None:
        return None
    artifact = transformer.artifact
    return {
        "image": transformer.image or None,
        "artifactId": str(artifact.id) if artifact else None,
        "file": artifact.filename if artifact else None,
        "requirements": transformer.requirements,
        "metadata": transformer.metadata,
        "reason": transformer.reason,
        "answeredBy": transformer.answered_by,
    }


@extend_schema_view(
    get=extend_schema(responses=_ANSWER, operation_id="transformer_list"),
    post=extend_schema(request=ModuleIn, responses=_ANSWER),
)
class Modules(WorkspaceFiles):
    """The modules of a workspace's transformers."""

    kind = FileKind(transformers_in, take_module, ("steps", "risk", "findings"), is_code=True)
    body = ModuleIn


def _wrong(key: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({key: message})

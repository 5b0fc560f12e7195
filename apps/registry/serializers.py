"""Models and versions on the wire."""

from typing import Any

from rest_framework import serializers

from apps.registry import compatibility
from apps.registry.metadata import parsed
from apps.registry.models import Model, ModelVersion
from apps.registry.selectors import Use


def model_out(model: Model) -> dict[str, Any]:
    newest = next(iter(model.versions.all()), None)
    return {
        "id": str(model.id),
        "name": model.name,
        "slug": model.slug,
        "description": model.description,
        "workspaceId": str(model.workspace_id),
        "lastVersion": newest.number if newest else None,
        "lastVersionId": str(newest.id) if newest else None,
        "framework": newest.framework if newest else None,
        "createdAt": model.created_at.isoformat(),
        "createdBy": str(model.created_by_id),
    }


def version_out(version: ModelVersion, uses: list[Use]) -> dict[str, Any]:
    reference = getattr(version, "reference", None)
    artifact = version.artifact
    return {
        "id": str(version.id),
        "modelId": str(version.model_id),
        "model": version.model.name,
        "number": version.number,
        "framework": version.framework,
        "frameworkVersion": version.framework_version,
        "format": version.format,
        "warning": compatibility.warning(
            version.framework, version.format, version.framework_version
        ),
        "source": version.source,
        "artifact": {
            "filename": artifact.filename,
            "size": artifact.size,
            "sha256": artifact.sha256,
        }
        if artifact
        else None,
        "scan": version.scan,
        "scanOverride": {
            "by": str(version.scan_override_by_id),
            "reason": version.scan_override_reason,
        }
        if version.scan_override_by_id
        else None,
        "blocked": version.is_blocked,
        "metadata": version.metadata,
        "referenceData": {"rows": reference.rows, "profile": reference.profile}
        if reference
        else None,
        "modelCard": version.model_card,
        "dataCard": version.data_card,
        "notes": version.notes,
        "deployments": [
            {"name": use.deployment, "slug": use.deployment_slug, "revision": use.revision}
            for use in uses
            if use.version_id == version.id and use.is_live
        ],
        "createdAt": version.created_at.isoformat(),
        "createdBy": str(version.created_by_id),
    }


class ModelIn(serializers.Serializer):
    """Body of POST models."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)


class ModelChangeIn(serializers.Serializer):
    """Body of PATCH models/{id}."""

    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)


class MetadataField(serializers.Field):
    """metadata.json as a file, as text, or as an object."""

    def to_internal_value(self, data: Any) -> Any:
        if hasattr(data, "read"):
            return parsed(data.read())
        return parsed(data.encode()) if isinstance(data, str) else data

    def to_representation(self, value: Any) -> Any:
        return value


class VersionIn(serializers.Serializer):
    """Multipart body of POST versions."""

    artifact = serializers.FileField(max_length=255, allow_empty_file=True)
    metadata = MetadataField(required=False)
    sample = serializers.FileField(max_length=255, required=False, allow_empty_file=True)
    target = serializers.CharField(max_length=200, required=False, allow_blank=True)
    modelCard = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    dataCard = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    notes = serializers.CharField(max_length=500, required=False, allow_blank=True)


class CardsIn(serializers.Serializer):
    """Body of PATCH versions/{id}."""

    modelCard = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    dataCard = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)


class OverrideIn(serializers.Serializer):
    """Body of POST overrideScan."""

    reason = serializers.CharField(max_length=500)

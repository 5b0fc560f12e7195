"""Credentials, repositories and imports on the wire."""

from typing import Any

from rest_framework import serializers

from apps.accounts.models import Workspace
from apps.registry.imports import services as imports
from apps.registry.models import Credential, Import, Model, Repository
from apps.registry.selectors import find_credential, find_model


def credential_out(credential: Credential) -> dict[str, Any]:
    """A credential without its secret, which nobody sees again."""
    return {
        "id": str(credential.id),
        "name": credential.name,
        "kind": credential.kind,
        "hint": credential.hint,
        "testedAt": credential.tested_at.isoformat() if credential.tested_at else None,
        "testError": credential.test_error or None,
        "workspaceId": str(credential.workspace_id),
        "createdAt": credential.created_at.isoformat(),
        "createdBy": str(credential.created_by_id),
    }


def repository_out(repository: Repository) -> dict[str, Any]:
    """A repository with the names that the official client knows."""
    at = repository.created_at.isoformat()
    return {
        "id": str(repository.id),
        "name": repository.name,
        "status": 1,
        "workspaceId": str(repository.workspace_id),
        "isPublic": repository.credential_id is None,
        "remotePath": repository.url,
        "credentialId": str(repository.credential_id) if repository.credential_id else None,
        "createdAt": at,
        "updatedAt": at,
    }


def import_out(job: Import) -> dict[str, Any]:
    """An import with its end, or how far it is."""
    version = job.version
    return {
        "id": str(job.id),
        "workspaceId": str(job.workspace_id),
        "modelId": str(job.model_id) if job.model_id else None,
        "source": job.source,
        "state": job.state,
        "stateAt": job.state_at.isoformat(),
        "error": job.error or None,
        "log": job.log.splitlines(),
        "draftId": str(job.draft_id) if job.draft_id else None,
        "versionId": str(version.id) if version else None,
        "version": version.number if version else None,
        "createdAt": job.created_at.isoformat(),
        "createdBy": str(job.created_by_id),
    }


class CredentialIn(serializers.Serializer):
    """Body of POST credentials."""

    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(Credential.Kind.choices)
    secret = serializers.DictField(child=serializers.CharField(allow_blank=True))


class CredentialChangeIn(serializers.Serializer):
    """Body of PATCH credentials/{id}: another name, other content, or both."""

    name = serializers.CharField(max_length=80, required=False)
    secret = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)


class RepositoryIn(serializers.Serializer):
    """Body of POST repositories."""

    name = serializers.CharField(max_length=80)
    remotePath = serializers.CharField(max_length=500)
    credentialId = serializers.UUIDField(required=False, allow_null=True)


class ImportIn(serializers.Serializer):
    """JSON body of POST imports, and of POST versions with a source."""

    source = serializers.DictField()  # type: ignore[assignment]
    credentialId = serializers.UUIDField(required=False, allow_null=True)
    model = serializers.CharField(max_length=80, required=False)
    name = serializers.CharField(max_length=80, required=False)
    auto = serializers.BooleanField(required=False, default=False)
    metadata = serializers.DictField(required=False)
    modelCard = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    dataCard = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    notes = serializers.CharField(max_length=500, required=False, allow_blank=True)

    def options(self) -> dict[str, Any]:
        """What the version gets beside the file."""
        names = ("metadata", "modelCard", "dataCard", "notes")
        return {name: self.validated_data[name] for name in names if name in self.validated_data}


def start_from(
    request: Any, workspace: Workspace, body: ImportIn, model: Model | None = None
) -> Import:
    """The import that a body asks for; at once a version where it is of a model."""
    data = body.validated_data
    key = data.get("credentialId")
    auto = data["auto"] or model is not None
    model = model or (find_model(workspace, data["model"]) if data.get("model") else None)
    if auto and model is None and not data.get("name"):
        raise serializers.ValidationError({"name": "Say the name of the model."})
    return imports.start_import(
        workspace=workspace,
        source=data["source"],
        model=model,
        name=data.get("name", ""),
        credential=find_credential(workspace, key) if key else None,
        auto=auto,
        options=body.options(),
        by=request.user,
    )

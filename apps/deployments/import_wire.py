"""What the official client sends of a model that is not in the registry yet."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework import serializers

from apps.accounts.models import Workspace
from apps.core.errors import DomainError
from apps.registry.models import Credential, Import
from apps.registry.selectors import find_credential, find_repository
from apps.registry.sources import contract


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a deployment's model lies, what opens that, and what describes it."""

    source: dict[str, Any]
    credential: Credential | None
    options: dict[str, Any]


def wanted_import(data: dict[str, Any], workspace: Workspace) -> Wanted | None:
    """From `repositoryId` or `modelReference`; None where the body has neither.

    Raises ValidationError, Http404 or SourceFailed.
    """
    options = {key: data[key] for key in ("metadata", "modelCard", "dataCard") if data.get(key)}
    key = data.get("modelBlobCredentialsId") or data.get("modelDockerCredentialsId")
    credential = find_credential(workspace, key) if key else None
    if data.get("repositoryId"):
        repository = find_repository(workspace, data["repositoryId"])
        source = {
            "kind": "git",
            "url": repository.url,
            "ref": data.get("commit") or data.get("branchName") or "",
            "path": data.get("contractPath") or "",
        }
        return Wanted(source, credential or repository.credential, options)
    if data.get("modelReference"):
        try:
            reference = contract.reference_of(data["modelReference"], "modelReference")
        except DomainError as error:
            raise serializers.ValidationError({"modelReference": error.message}) from None
        source = contract.source_of(reference)
        if source["kind"] == "mlflow":
            source["tracking"] = settings.MLFLOW_TRACKING_URL
        return Wanted(source, credential, options)
    return None


def import_out(job: Import | None) -> list[dict[str, Any]]:
    """The errors of a deployment whose import came to nothing."""
    return [{"message": job.error, "log": job.log}] if job and job.error else []

"""Backgrounds of explainers: taken in, checked as tables, and found again."""

from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.registry.models import Artifact
from apps.registry.services.intake import Upload, take_sample

KIND = "background"


def take_background(workspace: Workspace, upload: Upload) -> Artifact:
    """Stores a CSV or Parquet table. Raises Invalid where it is none."""
    artifact, profile = take_sample(workspace, upload, "")
    if artifact.scan.get("kind") != KIND:
        artifact.scan = artifact.scan | {"kind": KIND, "rows": profile.rows}
        artifact.save(update_fields=["scan"])
    return artifact


def backgrounds_in(workspace: Workspace) -> QuerySet[Artifact]:
    """The tables that were brought as backgrounds, newest first."""
    return Artifact.objects.filter(workspace=workspace, scan__kind=KIND).order_by("-id")

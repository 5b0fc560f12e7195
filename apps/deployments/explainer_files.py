"""What explainers are given: backgrounds, checked as tables, and modules of one's own."""

from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.deployments.module_files import Shape, take
from apps.registry.models import Artifact
from apps.registry.services.intake import Upload, take_sample

KIND, MODULE = "background", "explainer"
_SHAPE = Shape(
    kind=MODULE,
    name="explainer",
    functions=("explain",),
    missing="It does not define explain(instances, predict) at its top.",
    field="explainer_file",
)


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


def take_explainer(workspace: Workspace, upload: Upload) -> Artifact:
    """Stores a module with `explain`. Raises Invalid where it is none, saying why."""
    return take(workspace, upload, _SHAPE)


def explainers_in(workspace: Workspace) -> QuerySet[Artifact]:
    """The modules of explainers of a workspace, newest first."""
    return Artifact.objects.filter(workspace=workspace, scan__kind=MODULE).order_by("-id")

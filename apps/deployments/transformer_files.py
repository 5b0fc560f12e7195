"""A transformer's module on its way in, and those of a workspace."""

from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.deployments.module_files import Shape, take
from apps.registry.models import Artifact
from apps.registry.services.intake import Upload
from apps.serving.transformer import FRAMEWORK, STEPS

_SHAPE = Shape(
    kind=FRAMEWORK,
    name="transformer",
    functions=tuple(STEPS),
    missing="It defines neither preprocess(instances) nor postprocess(predictions) at its top.",
    field="transformer_file",
)


def take_module(workspace: Workspace, upload: Upload) -> Artifact:
    """Stores a module of a transformer. Raises Invalid where it is none, saying why."""
    return take(workspace, upload, _SHAPE)


def transformers_in(workspace: Workspace) -> QuerySet[Artifact]:
    """The modules of a workspace, newest first."""
    return Artifact.objects.filter(workspace=workspace, scan__kind=FRAMEWORK).order_by(
        "-created_at"
    )

"""The ways in which a model comes, as tabs of the pages that offer them."""

from dataclasses import dataclass

from django.urls import reverse

from apps.accounts.models import Workspace
from apps.registry.models import Model

# Name, label, address for a new model, address for a further version; a way without the latter
# makes new models alone.
WAYS: list[tuple[str, str, str, str]] = [
    ("upload", "Upload", "registry:upload", "registry:upload_version"),
    ("git", "From Git", "registry:import_git", "registry:import_version_git"),
    ("files", "From storage", "registry:import_files", "registry:import_version_files"),
    ("mlflow", "From MLflow", "registry:import_mlflow", "registry:import_version_mlflow"),
    ("image", "Container image", "registry:add_image", "registry:add_image_version"),
]


@dataclass(frozen=True, slots=True)
class Tab:
    """One way: its label, its address, and whether this is it."""

    label: str
    url: str
    is_current: bool


def tabs(workspace: Workspace, model: Model | None, current: str) -> list[Tab]:
    """The tabs of a page on which a model, or a version of `model`, is begun."""
    found = []
    for name, label, fresh, further in WAYS:
        if model is None:
            url = reverse(fresh, args=[workspace.slug])
        elif further:
            url = reverse(further, args=[workspace.slug, model.slug])
        else:
            continue
        found.append(Tab(label, url, name == current))
    return found

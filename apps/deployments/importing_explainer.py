"""The explainer of a deployment that waits for its import: kept meanwhile, or the folder's."""

from dataclasses import asdict
from typing import Any

from apps.deployments.explainer_settings import Explainer, methods_of
from apps.deployments.importing_folder import EXPLAINER
from apps.deployments.run_settings import RunSettings
from apps.registry.models import Artifact, Import

_FILES = ("background", "module")


def kept_explainer(explainer: Explainer) -> dict[str, Any]:
    """An explainer as JSON."""
    values = {name: getattr(explainer, name) for name in Explainer.__slots__}
    files = {name: str(values[name].id) if values[name] else None for name in _FILES}
    methods = [method.as_json() for method in explainer.methods]
    return values | files | {"methods": methods, "run": asdict(explainer.run)}


def _restored(kept: dict[str, Any] | None) -> Explainer:
    if not kept:
        return Explainer()
    files = {name: Artifact.objects.get(pk=kept[name]) for name in _FILES if kept[name]}
    lists = {name: tuple(kept[name]) for name in ("args", "variable_ids")}
    values: dict[str, Any] = dict.fromkeys(_FILES) | files | lists
    values |= {"methods": methods_of(kept["methods"]), "run": RunSettings(**kept["run"])}
    return Explainer(**kept | values)


def explainer_of_import(job: Import) -> Explainer | None:
    """What was said of an explainer, with the folder's where none was named. Raises Invalid."""
    return EXPLAINER.brought_to(job, _restored(job.options["deployment"].get("explainer")))

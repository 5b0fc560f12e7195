"""The explainer of a deployment that waits for its import: kept meanwhile, or the folder's."""

from dataclasses import asdict, replace
from typing import Any

from apps.core.errors import Invalid
from apps.deployments.explainer_files import take_explainer
from apps.deployments.explainer_settings import Explainer, methods_of
from apps.deployments.run_settings import RunSettings
from apps.registry import storage
from apps.registry.models import Artifact, Import
from apps.registry.services import Upload
from apps.registry.sources.packing import chunks_of

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
    wanted = job.options["deployment"]
    said = _restored(wanted.get("explainer"))
    if said.is_given:
        return said
    brought = job.options.get("explainer")
    from_folder = wanted.get("explainerFromFolder", "no")
    if from_folder == "must" and not brought:
        raise Invalid(
            "An explainer of your own was asked for, but the contract folder has no explainer/ "
            "with explainer.py or a reference.json of an image."
        )
    if from_folder == "no" or not brought:
        return None
    if "image" in brought:
        uri = str(brought.get("uri") or "")
        port = int(brought.get("port") or 8080)
        return replace(said, image=brought["image"], port=port, readiness_path=uri)
    packed = Artifact.objects.get(pk=brought["artifactId"])
    upload = Upload(packed.filename, chunks_of(storage.path_of(packed.sha256)))
    return replace(said, module=take_explainer(job.workspace, upload))

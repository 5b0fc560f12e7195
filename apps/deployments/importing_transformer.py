"""The transformer of a deployment that waits for its import: kept meanwhile, or the folder's."""

from dataclasses import asdict
from typing import Any

from apps.deployments.importing_folder import TRANSFORMER
from apps.deployments.run_settings import RunSettings
from apps.deployments.transformers import Transformer
from apps.registry.models import Artifact, Import


def kept_transformer(transformer: Transformer) -> dict[str, Any]:
    """A transformer as JSON."""
    artifact = transformer.artifact
    values = {name: getattr(transformer, name) for name in Transformer.__slots__}
    return values | {
        "artifact": str(artifact.id) if artifact else None,
        "run": asdict(values["run"]),
    }


def transformer_of_import(job: Import) -> Transformer | None:
    """What was said of a transformer, with the folder's where none was named. Raises Invalid."""
    return TRANSFORMER.brought_to(job, _restored(job.options["deployment"].get("transformer")))


def _restored(kept: dict[str, Any] | None) -> Transformer:
    if not kept:
        return Transformer()
    lists = {name: tuple(kept[name]) for name in ("args", "variable_ids")}
    artifact = Artifact.objects.get(pk=kept["artifact"]) if kept["artifact"] else None
    return Transformer(**kept | lists | {"artifact": artifact, "run": RunSettings(**kept["run"])})

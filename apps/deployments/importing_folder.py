"""What a contract folder brings beside its model: a transformer, an explainer, or both."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from apps.accounts.models import Workspace
from apps.core.errors import Invalid
from apps.deployments.explainer_files import take_explainer
from apps.deployments.explainer_settings import Explainer
from apps.deployments.transformer_files import take_module
from apps.deployments.transformers import Transformer
from apps.registry import storage
from apps.registry.models import Artifact, Import
from apps.registry.services import Upload
from apps.registry.sources.packing import chunks_of

FromFolder = Literal["no", "may", "must"]
Part = TypeVar("Part", Transformer, Explainer)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two. `rule` is the key of whether the folder's is taken, `file` the field of its
    module, and `missing` what is said where it must bring one and has none. The `uri` of an
    explainer's image is where it is ready; in a transformer's people write other things."""

    name: str
    rule: str
    file: str
    take: Callable[[Workspace, Upload], Artifact]
    missing: str
    uri_is_readiness: bool = False

    def brought_to(self, job: Import, said: Part) -> Part | None:
        """What was said of it, with the folder's where none was named. Raises Invalid."""
        if said.is_given:
            return said
        brought = job.options.get(self.name)
        rule = job.options["deployment"].get(self.rule, "no")
        if rule == "must" and not brought:
            raise Invalid(self.missing)
        if rule == "no" or not brought:
            return None
        return replace(said, **self._named(job, brought))

    def waits_for_reason(self, job: Import) -> bool:
        """True where the folder has a module, and nobody said yet why it may run."""
        wanted = job.options.get("deployment", {})
        return (
            "artifactId" in (job.options.get(self.name) or {})
            and wanted.get(self.rule, "no") != "no"
            and not (wanted.get(self.name) or {}).get("reason")
        )

    def _named(self, job: Import, brought: dict[str, Any]) -> dict[str, Any]:
        if "image" in brought:
            port, uri = int(brought.get("port") or 8080), str(brought.get("uri") or "")
            ready = {"readiness_path": uri} if self.uri_is_readiness else {}
            return {"image": brought["image"], "port": port} | ready
        packed = Artifact.objects.get(pk=brought["artifactId"])
        upload = Upload(packed.filename, chunks_of(storage.path_of(packed.sha256)))
        return {self.file: self.take(job.workspace, upload)}


TRANSFORMER = Kind(
    "transformer",
    "fromFolder",
    "artifact",
    take_module,
    "A transformer was asked for, but the contract folder has no transformer/ with transformer.py "
    "or reference.json.",
)
EXPLAINER = Kind(
    "explainer",
    "explainerFromFolder",
    "module",
    take_explainer,
    "An explainer of your own was asked for, but the contract folder has no explainer/ with "
    "explainer.py or a reference.json of an image.",
    uri_is_readiness=True,
)

"""From files to what is known about them; nothing here writes to the database but artifacts."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.accounts.models import Workspace
from apps.core.errors import Invalid
from apps.registry import storage
from apps.registry.models import Artifact
from apps.registry.profile import Profile, profile
from apps.registry.samples import UnreadableSample, read_sample
from apps.registry.scan import scan
from apps.registry.sources.errors import SourceFailed
from apps.registry.sources.packing import check_archive
from apps.serving.detect import Detected, NotAModel, detect

# What people say about a feature, as against what a sample shows of it.
_SAID = ("label", "unit", "description", "categoryLabels", "protected")


@dataclass(frozen=True)
class Upload:
    """A file on its way in: its name and its content in chunks."""

    filename: str
    chunks: Iterable[bytes]


def take_model(workspace: Workspace, upload: Upload) -> tuple[Artifact, Detected]:
    """Stores and scans a model file. Raises Invalid where it is none."""
    stored = storage.store(upload.chunks)
    try:
        check_archive(stored.path)
        found = detect(stored.path)
    except NotAModel as error:
        message = f"{upload.filename}: {error}"
        raise Invalid(message, [{"field": "artifact", "message": str(error)}]) from None
    except SourceFailed as error:
        raise Invalid(error.message, [{"field": "artifact", "message": error.message}]) from None
    findings = scan(stored.path, found.format)
    return keep(workspace, stored, upload.filename, findings), found


def take_sample(workspace: Workspace, upload: Upload, target: str) -> tuple[Artifact, Profile]:
    """Stores and profiles a sample. Raises Invalid where it is no table."""
    stored = storage.store(upload.chunks)
    table = profiled(stored.path, upload.filename, target)
    return keep(workspace, stored, upload.filename, {}), table


def profiled(path: Path, filename: str, target: str) -> Profile:
    """The profile of a stored sample. Raises Invalid where it is no table or lacks `target`."""
    try:
        frame = read_sample(path, filename)
    except UnreadableSample as error:
        raise Invalid(str(error), [{"field": "sample", "message": str(error)}]) from None
    if target and target not in frame.columns:
        message = f"The sample has no column {target}; it has {', '.join(map(str, frame.columns))}."
        raise Invalid(message, [{"field": "target", "message": message}])
    return profile(frame, without=target)


def completed(metadata: dict[str, Any], found: Detected, table: Profile | None) -> dict[str, Any]:
    """The metadata with what it lacks taken from the sample and from the file itself."""
    result = dict(metadata)
    if table and not result.get("features"):
        result["features"] = table.features
    if not result.get("features") and found.features:
        # Trees of XGBoost take numbers alone; elsewhere a column may as well hold categories.
        kind = "number" if found.framework == "xgboost" else "any"
        result["features"] = [{"name": name, "type": kind} for name in found.features]
    if table and not result.get("exampleInput"):
        result["exampleInput"] = {"instances": [table.example]}
    if not result.get("problemType") and found.problem_type:
        result["problemType"] = found.problem_type
    return result


def carried_over(metadata: dict[str, Any], table: Profile) -> dict[str, Any]:
    """An earlier version's metadata with features and example of a new sample.

    What people said about a feature stays with its name; what the sample shows is new.
    """
    said = {feature["name"]: feature for feature in metadata.get("features") or []}
    features = [
        feature | {key: said[name][key] for key in _SAID if key in said.get(name, {})}
        for feature in table.features
        if (name := feature["name"])
    ]
    return metadata | {"features": features, "exampleInput": {"instances": [table.example]}}


def keep(
    workspace: Workspace, stored: storage.Stored, filename: str, findings: dict[str, Any]
) -> Artifact:
    """The workspace's artifact of this content; made where it is new."""
    artifact, _ = Artifact.objects.get_or_create(
        workspace=workspace,
        sha256=stored.sha256,
        defaults={"size": stored.size, "filename": filename[:255], "scan": findings},
    )
    if findings and artifact.scan != findings:
        artifact.scan = findings
        artifact.save(update_fields=["scan"])
    return artifact

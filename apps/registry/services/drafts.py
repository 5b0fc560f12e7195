"""Uploads on their way to a version: staged, described, then published or discarded."""

from dataclasses import asdict
from typing import Any

from django.db import transaction

from apps.accounts.models import User, Workspace
from apps.core.errors import DomainError
from apps.registry import storage
from apps.registry.models import Artifact, Draft, Model, ModelVersion
from apps.registry.profile import Profile
from apps.registry.samples import read_sample
from apps.registry.services.intake import (
    Upload,
    carried_over,
    completed,
    profiled,
    take_model,
    take_sample,
)
from apps.registry.services.models import create_model
from apps.registry.services.versions import write_version
from apps.serving.detect import Detected

_MOST_CLASSES = 20


def stage_upload(
    *,
    workspace: Workspace,
    artifact: Upload,
    by: User,
    model: Model | None = None,
    metadata: dict[str, Any] | None = None,
    sample: Upload | None = None,
    target: str = "",
    source: dict[str, Any] | None = None,
    requirements: str = "",
    model_card: str = "",
    data_card: str = "",
) -> Draft:
    """Stores an upload as a draft. Raises Invalid where the file is no model.

    A sample that cannot be used does not lose the file: the draft is made without it and says
    why in `problems`. A further version of a model starts from the last one's metadata and cards.
    """
    kept, found = take_model(workspace, artifact)
    before = model.versions.first() if model else None
    known = metadata if metadata is not None else (before.metadata if before else {})
    draft = Draft(
        workspace=workspace,
        owner=by,
        model=model,
        name=model.name if model else _name_from(artifact.filename),
        artifact=kept,
        filename=artifact.filename[:255],
        detected=asdict(found),
        metadata=completed(known, found, None),
        model_card=model_card or (before.model_card if before else ""),
        data_card=data_card or (before.data_card if before else ""),
        source=source or {"kind": "upload"},
        requirements=requirements,
    )
    if sample:
        _attach(draft, sample, target)
    draft.save()
    return draft


def replace_sample(*, draft: Draft, sample: Upload, target: str = "") -> None:
    """Describes the features anew from another sample; faults go to `draft.problems`."""
    _attach(draft, sample, target)
    draft.save()


def change_draft(*, draft: Draft, **given: Any) -> None:
    """Keeps what was typed, right or wrong: `name`, `target`, `metadata`, cards, `notes`.

    Another target makes the features anew from the sample.
    """
    target = given.pop("target", draft.target)
    for field, value in given.items():
        setattr(draft, field, value)
    if draft.sample and target != draft.target:
        table = profiled(storage.path_of(draft.sample.sha256), draft.sample_filename, target)
        draft.target = target
        draft.metadata = carried_over(draft.metadata, table)
        _suggest_classes(draft)
    draft.save()


@transaction.atomic
def publish_draft(*, draft: Draft, by: User) -> ModelVersion:
    """Makes the version, with its model where that is new, and removes the draft."""
    model = draft.model or create_model(workspace=draft.workspace, name=draft.name, by=by)
    version = write_version(
        model=model,
        artifact=draft.artifact,
        found=found_in(draft),
        metadata=draft.metadata,
        reference=_reference(draft),
        model_card=draft.model_card,
        data_card=draft.data_card,
        notes=draft.notes,
        source=draft.source or {"kind": "upload"},
        requirements=draft.requirements,
        by=by,
    )
    draft.delete()
    return version


def discard_draft(*, draft: Draft) -> None:
    """Forgets an upload; its file goes when the store is tidied."""
    draft.delete()


def found_in(draft: Draft) -> Detected:
    """What was found in the draft's file."""
    lists = {key: tuple(draft.detected[key]) for key in ("features", "notes")}
    return Detected(**{**draft.detected, **lists})


def _attach(draft: Draft, sample: Upload, target: str) -> None:
    draft.problems = {}
    try:
        kept, table = take_sample(draft.workspace, sample, "")
    except DomainError as error:
        draft.problems = {"sample": error.message}
        return
    draft.sample, draft.sample_filename = kept, sample.filename[:255]
    draft.columns = [feature["name"] for feature in table.features]
    draft.target = target or _likely_target(draft, table)
    if draft.target not in draft.columns:
        draft.target = ""
    if draft.target:
        table = profiled(storage.path_of(kept.sha256), sample.filename, draft.target)
    draft.metadata = carried_over(draft.metadata, table)
    _suggest_classes(draft)


def _likely_target(draft: Draft, table: Profile) -> str:
    """The one column that the model does not take, where its features are known."""
    known = draft.detected.get("features") or [
        feature["name"] for feature in draft.metadata.get("features") or []
    ]
    rest = [feature["name"] for feature in table.features if feature["name"] not in known]
    return rest[0] if known and len(rest) == 1 else ""


def _suggest_classes(draft: Draft) -> None:
    """Takes the target's values for classes where they are few and nothing was said yet."""
    known = draft.metadata.get("predictionClasses") or draft.metadata.get("problemType")
    if not draft.sample or not draft.target or known:
        return
    frame = read_sample(storage.path_of(draft.sample.sha256), draft.sample_filename)
    values = sorted(frame[draft.target].dropna().unique().tolist(), key=str)
    if len(values) <= _MOST_CLASSES and not any(isinstance(value, float) for value in values):
        draft.metadata["problemType"] = "classificationWithProbabilities"
        draft.metadata["predictionClasses"] = {str(value): value for value in values}


def _reference(draft: Draft) -> tuple[Artifact, Profile] | None:
    if not draft.sample:
        return None
    path = storage.path_of(draft.sample.sha256)
    return draft.sample, profiled(path, draft.sample_filename, draft.target)


def _name_from(filename: str) -> str:
    stem = filename.rsplit(".", 1)[0].replace("_", " ").replace("-", " ")
    name = " ".join(stem.split()).capitalize()[:80]
    return "" if name.lower() in {"model", ""} else name

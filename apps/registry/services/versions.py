"""Versions of models: immutable but for their cards."""

from typing import Any

from django.db import transaction
from django.db.models import Max, ProtectedError

from apps.accounts.models import User
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid
from apps.registry.metadata import checked
from apps.registry.models import Artifact, Credential, Model, ModelVersion, ReferenceData
from apps.registry.profile import Profile
from apps.registry.selectors import places_of
from apps.registry.services.events import record
from apps.registry.services.intake import Upload, completed, take_model, take_sample
from apps.serving.detect import Detected

_LONGEST_CARD = 200_000


def add_version(
    *,
    model: Model,
    artifact: Upload,
    by: User,
    metadata: dict[str, Any] | None = None,
    sample: Upload | None = None,
    target: str = "",
    model_card: str = "",
    data_card: str = "",
    notes: str = "",
    source: dict[str, Any] | None = None,
    requirements: str = "",
) -> ModelVersion:
    """Stores the file, looks into it without running it, and makes the next version.

    Features that the metadata lacks come from the sample, which becomes the reference data; so
    does the example input. Raises Invalid where file, metadata or sample cannot be used.
    """
    kept, found = take_model(model.workspace, artifact)
    reference = take_sample(model.workspace, sample, target) if sample else None
    described = completed(metadata or {}, found, reference[1] if reference else None)
    return write_version(
        model=model,
        artifact=kept,
        found=found,
        metadata=described,
        reference=reference,
        model_card=model_card,
        data_card=data_card,
        notes=notes,
        source=source,
        requirements=requirements,
        by=by,
    )


@transaction.atomic
def write_version(
    *,
    model: Model,
    found: Detected,
    metadata: dict[str, Any],
    by: User,
    artifact: Artifact | None = None,
    source: dict[str, Any] | None = None,
    credential: Credential | None = None,
    requirements: str = "",
    reference: tuple[Artifact, Profile] | None = None,
    model_card: str = "",
    data_card: str = "",
    notes: str = "",
) -> ModelVersion:
    """The next version of `model` from parts that are stored and looked into already.

    One without an artifact says in `source` where it runs; see ModelVersion.
    """
    _check_length(model_card=model_card, data_card=data_card)
    Model.objects.select_for_update().get(pk=model.pk)
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(
        model=model,
        number=last + 1,
        artifact=artifact,
        source=source or {"kind": "upload"},
        credential=credential,
        requirements=requirements,
        framework=found.framework,
        framework_version=found.framework_version[:40],
        format=found.format,
        metadata=checked(metadata),
        model_card=model_card,
        data_card=data_card,
        notes=notes.strip()[:500],
        created_by=by,
    )
    if reference:
        sample, table = reference
        ReferenceData.objects.create(
            version=version, artifact=sample, rows=table.rows, profile=table.content
        )
    data = {
        "version": version.number,
        "sha256": version.sha256,
        "risk": version.scan.get("risk", "unknown"),
        "source": version.source,
    }
    record("model.version_added", model, by.actor, data)
    return version


@transaction.atomic
def edit_cards(
    *, version: ModelVersion, by: Actor, model_card: str | None = None, data_card: str | None = None
) -> None:
    """The cards are documentation: the only part of a version that may change."""
    _check_length(model_card=model_card or "", data_card=data_card or "")
    changed = []
    for field, text in (("model_card", model_card), ("data_card", data_card)):
        if text is not None and text != getattr(version, field):
            setattr(version, field, text)
            changed.append(field)
    if changed:
        version.save(update_fields=changed)
        data = {"version": version.number, "changed": changed}
        record("model.cards_edited", version.model, by, data)


@transaction.atomic
def override_scan(*, version: ModelVersion, reason: str, by: User) -> None:
    """Lets a version run although the scan holds it back; needs a reason."""
    reason = reason.strip()[:500]
    if not reason:
        message = "Say why this file may run although the scan holds it back."
        raise Invalid(message, [{"field": "reason", "message": message}])
    if not version.needs_answer:
        raise Conflict(f"The scan does not block {version}; there is nothing to override.")
    version.scan_override_by, version.scan_override_reason = by, reason
    version.save(update_fields=["scan_override_by", "scan_override_reason"])
    data = {"version": version.number, "reason": reason, "scan": version.scan}
    record("model.scan_overridden", version.model, by.actor, data)


@transaction.atomic
def delete_version(*, version: ModelVersion, by: Actor) -> None:
    """Raises Conflict while a revision of a deployment uses the version."""
    number, model, sha256 = version.number, version.model, version.sha256
    places = places_of([version])
    try:
        version.delete()
    except ProtectedError:
        raise Conflict(
            f"{model} {number} cannot be deleted: it belongs to the record of {places}."
        ) from None
    record("model.version_deleted", model, by, {"version": number, "sha256": sha256})


def _check_length(**cards: str) -> None:
    for field, text in cards.items():
        if len(text) > _LONGEST_CARD:
            message = f"A card has at most {_LONGEST_CARD:,} characters."
            raise Invalid(message, [{"field": field, "message": message}])

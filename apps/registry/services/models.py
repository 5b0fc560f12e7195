"""Making, renaming and deleting models."""

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify

from apps.accounts.models import User, Workspace
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid
from apps.registry.models import Model
from apps.registry.selectors import places_of
from apps.registry.services.events import record

_LONGEST_NAME = 80
_LONGEST_DESCRIPTION = 500


@transaction.atomic
def create_model(*, workspace: Workspace, name: str, by: User, description: str = "") -> Model:
    """Raises Conflict where the workspace has a model of that name."""
    name = _checked_name(workspace, name)
    model = Model.objects.create(
        workspace=workspace,
        name=name,
        slug=_free_slug(workspace, name),
        description=_checked_description(description),
        created_by=by,
    )
    record("model.created", model, by.actor, {"description": model.description})
    return model


@transaction.atomic
def change_model(
    *, model: Model, by: Actor, name: str | None = None, description: str | None = None
) -> None:
    """Renames or describes a model. Its address stays, so that links go on to work."""
    changed = {}
    if name is not None and name.strip() != model.name:
        changed["name"] = _checked_name(model.workspace, name, but=model)
    if description is not None and description.strip() != model.description:
        changed["description"] = _checked_description(description)
    if not changed:
        return
    data = {field: {"from": getattr(model, field), "to": new} for field, new in changed.items()}
    for field, new in changed.items():
        setattr(model, field, new)
    model.save(update_fields=list(changed))
    record("model.changed", model, by, data)


@transaction.atomic
def delete_model(*, model: Model, by: Actor) -> None:
    """Deletes a model with its versions. Raises Conflict where a deployment's record needs one."""
    versions = [
        {"number": version.number, "sha256": version.sha256}
        for version in model.versions.select_related("artifact")
    ]
    record("model.deleted", model, by, {"versions": versions})
    places = places_of(model.versions.all())
    try:
        model.delete()
    except ProtectedError:
        raise Conflict(
            f"{model} cannot be deleted: its versions belong to the record of {places}."
        ) from None


def _checked_name(workspace: Workspace, name: str, but: Model | None = None) -> str:
    name = " ".join(name.split())
    if not slugify(name):
        raise _fault("name", "A model needs a name with at least one letter or digit.")
    if len(name) > _LONGEST_NAME:
        raise _fault("name", f"A name has at most {_LONGEST_NAME} characters.")
    taken = Model.objects.filter(workspace=workspace, name__iexact=name).first()
    if taken and taken != but:
        message = f"There is a model called {name} already; add a version to it."
        raise Conflict(message, [{"field": "name", "message": message}])
    return name


def _checked_description(description: str) -> str:
    description = description.strip()
    if len(description) > _LONGEST_DESCRIPTION:
        raise _fault("description", f"It has at most {_LONGEST_DESCRIPTION} characters.")
    return description


def _free_slug(workspace: Workspace, name: str) -> str:
    """The name as an address; numbered where a renamed model still has it."""
    base = slugify(name)[: _LONGEST_NAME - 4]
    taken = set(
        Model.objects.filter(workspace=workspace, slug__startswith=base).values_list(
            "slug", flat=True
        )
    ) | {"new", "drafts", "imports"}
    candidates = [base, *(f"{base}-{number}" for number in range(2, len(taken) + 3))]
    return next(slug for slug in candidates if slug not in taken)


def _fault(field: str, message: str) -> Invalid:
    return Invalid(message, [{"field": field, "message": message}])

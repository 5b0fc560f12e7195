"""Reads of the registry, and what the layer above says of where versions run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, Prefetch, Q, QuerySet
from django.http import Http404
from django.utils.module_loading import import_string

from apps.accounts.models import User, Workspace
from apps.registry.models import Credential, Draft, Import, Model, ModelVersion, Repository

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Use:
    """A revision of a deployment that runs, or ran, a model version."""

    version_id: UUID
    deployment: str
    deployment_slug: str
    revision: int
    is_live: bool


def models_of(workspace: Workspace, search: str = "") -> QuerySet[Model]:
    """The workspace's models by name, each with `version_count`, `last_at` and its versions."""
    newest_first = ModelVersion.objects.select_related("artifact").order_by("-number")
    found = (
        Model.objects.filter(workspace=workspace)
        .annotate(version_count=Count("versions"), last_at=Max("versions__created_at"))
        .prefetch_related(Prefetch("versions", newest_first))
        .order_by("name")
    )
    for word in search.split():
        found = found.filter(
            Q(name__icontains=word)
            | Q(description__icontains=word)
            | Q(pk__in=_models_with_framework(word))
        )
    return found


def _models_with_framework(word: str) -> QuerySet[ModelVersion, UUID]:
    names = {label.lower(): value for value, label in ModelVersion.Framework.choices}
    wanted = [value for label, value in names.items() if word.lower() in (label, value)]
    return ModelVersion.objects.filter(framework__in=wanted).values_list("model_id", flat=True)


def versions_of(model: Model) -> QuerySet[ModelVersion]:
    """A model's versions, newest first, with what their rows show."""
    return model.versions.select_related("artifact", "created_by", "model")


def drafts_of(user: User, workspace: Workspace) -> QuerySet[Draft]:
    """The uploads that `user` has begun and not finished."""
    return Draft.objects.filter(owner=user, workspace=workspace).select_related("artifact", "model")


def uses_of(versions: Iterable[ModelVersion]) -> list[Use]:
    """Where versions run or ran, in one query of the layer that knows."""
    ask: Callable[[list[UUID]], list[Use]] = import_string(settings.MODEL_USES)
    return ask([version.id for version in versions])


def places_of(versions: Iterable[ModelVersion]) -> str:
    """The deployments that use any of the versions, in words; empty where there are none."""
    names = sorted({use.deployment for use in uses_of(versions)})
    if len(names) > 3:
        names = [*names[:3], f"{len(names) - 3} more"]
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def find_model(workspace: Workspace, key: str) -> Model:
    """The model by slug or id. Raises Http404."""
    model = workspace.models.filter(slug=key).first()
    if model is None and (identifier := _uuid(key)):
        model = workspace.models.filter(pk=identifier).first()
    if model is None:
        raise Http404("There is no such model in this workspace.")
    return model


def find_version(model: Model, key: str) -> ModelVersion:
    """The version by number or id. Raises Http404."""
    found = versions_of(model).select_related("reference", "scan_override_by")
    version = found.filter(number=int(key)).first() if _is_number(key) else None
    if version is None and (identifier := _uuid(key)):
        version = found.filter(pk=identifier).first()
    if version is None:
        raise Http404(f"{model} has no such version.")
    return version


def credentials_of(workspace: Workspace) -> QuerySet[Credential]:
    """The workspace's credentials by name."""
    return workspace.credentials.select_related("created_by")


def repositories_of(workspace: Workspace) -> QuerySet[Repository]:
    """The workspace's repositories by name."""
    return workspace.repositories.select_related("credential", "created_by")


def imports_of(workspace: Workspace) -> QuerySet[Import]:
    """The workspace's imports, newest first."""
    related = ("model", "version__model", "draft", "credential", "created_by")
    return workspace.imports.select_related(*related)


def find_credential(workspace: Workspace, key: object) -> Credential:
    """The credential by id. Raises Http404."""
    found = credentials_of(workspace).filter(pk=_uuid(str(key)) or _NOBODY).first()
    if found is None:
        raise Http404("There is no such credential in this workspace.")
    return found


def find_repository(workspace: Workspace, key: object) -> Repository:
    """The repository by id. Raises Http404."""
    found = repositories_of(workspace).filter(pk=_uuid(str(key)) or _NOBODY).first()
    if found is None:
        raise Http404("There is no such repository in this workspace.")
    return found


def find_import(workspace: Workspace, key: object) -> Import:
    """The import by id. Raises Http404."""
    found = imports_of(workspace).filter(pk=_uuid(str(key)) or _NOBODY).first()
    if found is None:
        raise Http404("There is no such import in this workspace.")
    return found


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 9


def _uuid(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None

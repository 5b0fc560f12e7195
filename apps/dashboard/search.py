"""Finds what a person may see: by name, and predictions and requests by their ids."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import reverse

from apps.accounts.access import rights_in, visible_workspaces
from apps.accounts.models import User
from apps.deployments.models import Deployment, UseCase
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.sight import veiled, withheld_from
from apps.registry.models import Model, ModelVersion

_MOST = 20
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found."""

    title: str
    text: str
    url: str
    is_mono: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """What was found of one kind; at most twenty."""

    title: str
    icon: str
    hits: list[Hit]

    @property
    def is_cut(self) -> bool:
        return len(self.hits) == _MOST


@dataclass(frozen=True, slots=True)
class Scope:
    """The workspaces that are searched, those of them whose log may be read, and predictions in
    it whose output is withheld."""

    workspaces: list[UUID]
    logs: list[UUID]
    withheld: frozenset[UUID]


def scope_of(user: User) -> Scope:
    visible = list(visible_workspaces(user))
    allowed = rights_in(user, visible)
    return Scope(
        [each.id for each in visible],
        [each.id for each in visible if "prediction.view" in allowed[each.id]],
        frozenset(withheld_from(user)),
    )


def page_of(identifier: UUID, scope: Scope) -> str | None:
    """The page of whatever has exactly this id."""
    for find in (_prediction, _request, _deployment, _version, _model):
        if url := find(identifier, scope):
            return url
    return None


def search(text: str, scope: Scope) -> list[Group]:
    """The groups in which something was found. A text under two letters finds nothing."""
    if len(text) < _SHORTEST:
        return []
    kinds: list[tuple[str, str, Callable[[str, Scope], list[Hit]]]] = [
        ("Deployments", "layers", _deployments),
        ("Models", "box", _models),
        ("Model versions", "git-commit-horizontal", _versions),
        ("Use cases", "target", _use_cases),
        ("Predictions with this custom id", "activity", _predictions),
    ]
    groups = [Group(title, icon, find(text, scope)) for title, icon, find in kinds]
    return [group for group in groups if group.hits]


def _prediction(identifier: UUID, scope: Scope) -> str | None:
    found = PredictionRecord.objects.filter(id=identifier, deployment__workspace__in=scope.logs)
    record = found.select_related("deployment__workspace").first()
    if record is None:
        return None
    return reverse("predictions:detail", args=(record.deployment.workspace.slug, record.id))


def _request(identifier: UUID, scope: Scope) -> str | None:
    found = RequestRecord.objects.filter(id=identifier, deployment__workspace__in=scope.logs)
    record = found.select_related("deployment__workspace").first()
    if record is None:
        return None
    return reverse("predictions:request", args=(record.deployment.workspace.slug, record.id))


def _deployment(identifier: UUID, scope: Scope) -> str | None:
    deployment = _living(scope).filter(id=identifier).first()
    return _page(deployment) if deployment else None


def _version(identifier: UUID, scope: Scope) -> str | None:
    found = ModelVersion.objects.filter(id=identifier, model__workspace__in=scope.workspaces)
    version = found.select_related("model__workspace").first()
    return _version_page(version) if version else None


def _model(identifier: UUID, scope: Scope) -> str | None:
    found = Model.objects.filter(id=identifier, workspace__in=scope.workspaces)
    model = found.select_related("workspace").first()
    return _model_page(model) if model else None


def _living(scope: Scope) -> QuerySet[Deployment]:
    found = Deployment.objects.filter(workspace__in=scope.workspaces)
    return found.exclude(desired=Deployment.Desired.DELETED).select_related("workspace")


def _deployments(text: str, scope: Scope) -> list[Hit]:
    found = _living(scope)
    for word in text.split():
        found = found.filter(
            Q(name__icontains=word) | Q(slug__icontains=word) | Q(description__icontains=word)
        )
    return [
        Hit(each.name, f"{each.workspace} · {each.description}", _page(each))
        for each in found[:_MOST]
    ]


def _models(text: str, scope: Scope) -> list[Hit]:
    found = Model.objects.filter(workspace__in=scope.workspaces).select_related("workspace")
    for word in text.split():
        found = found.filter(Q(name__icontains=word) | Q(description__icontains=word))
    return [
        Hit(
            each.name,
            f"{each.workspace} · {each.description}",
            _model_page(each),
        )
        for each in found.order_by("name")[:_MOST]
    ]


def _versions(text: str, scope: Scope) -> list[Hit]:
    """By words of their notes or file name, by their checksum's beginning, or as `name 3`."""
    name, _, number = text.rpartition(" ")
    wanted = Q(notes__icontains=text) | Q(artifact__filename__icontains=text)
    if len(text) >= 8:
        wanted |= Q(artifact__sha256__startswith=text.lower())
    if name and number.isascii() and number.isdigit() and len(number) < 9:
        wanted |= Q(model__name__icontains=name, number=int(number))
    found = ModelVersion.objects.filter(wanted, model__workspace__in=scope.workspaces)
    found = found.select_related("model__workspace", "artifact").order_by("-created_at")
    return [
        Hit(
            str(each),
            " · ".join(filter(None, (str(each.model.workspace), _file_name(each), each.notes))),
            _version_page(each),
        )
        for each in found[:_MOST]
    ]


def _file_name(version: ModelVersion) -> str:
    return version.artifact.filename if version.artifact else ""


def _use_cases(text: str, scope: Scope) -> list[Hit]:
    found = UseCase.objects.filter(workspace__in=scope.workspaces).select_related("workspace")
    for word in text.split():
        found = found.filter(Q(name__icontains=word) | Q(description__icontains=word))
    return [
        Hit(
            each.name,
            f"{each.workspace} · {each.get_risk_display()} · {each.get_stage_display()}",
            reverse("deployments:list", args=(each.workspace.slug,)),
        )
        for each in found.order_by("name")[:_MOST]
    ]


def _predictions(text: str, scope: Scope) -> list[Hit]:
    """Exactly this custom id, newest first. The deployments are named to the database, so that
    its index on deployment and custom id answers."""
    deployments = {
        each.id: each
        for each in Deployment.objects.filter(workspace__in=scope.logs).select_related("workspace")
    }
    found = PredictionRecord.objects.filter(
        deployment_id__in=list(deployments), custom_id=text
    ).order_by("-id")
    return [
        Hit(
            str(each.id),
            f"{deployments[each.deployment_id]} · {_outcome(each)} · "
            f"{each.at:%-d %b %Y, %H:%M} UTC",
            reverse(
                "predictions:detail",
                args=(deployments[each.deployment_id].workspace.slug, each.id),
            ),
            is_mono=True,
        )
        for each in veiled(found[:_MOST], scope.withheld)
    ]


def _outcome(record: PredictionRecord) -> str:
    return "withheld" if record.is_withheld else record.outcome or "erased"


def _page(deployment: Deployment) -> str:
    return reverse("deployments:detail", args=(deployment.workspace.slug, deployment.slug))


def _model_page(model: Model) -> str:
    return reverse("registry:model_detail", args=(model.workspace.slug, model.slug))


def _version_page(version: ModelVersion) -> str:
    model = version.model
    return reverse(
        "registry:version_detail", args=(model.workspace.slug, model.slug, version.number)
    )

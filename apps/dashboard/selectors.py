"""What home shows: how the deployments are, and what waits for this person."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from apps.accounts.access import Action, rights_in
from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.audit.sentences import sentence
from apps.deployments.models import Deployment, Revision
from apps.deployments.selectors import (
    Condition,
    condition,
    deployments_visible_to,
    newest_revision,
)
from apps.deployments.services import model_of
from apps.feedback.models import ReviewQueue
from apps.feedback.review.selectors import progress_of
from apps.monitoring.models import TrafficHour
from apps.monitoring.selectors import Traffic, traffic_of
from apps.registry.models import Draft, Model, ModelVersion

_ORDER = {"bad": 0, "warn": 1, "good": 2, "none": 3}
_SHOWN_EVENTS = 8
_SHOWN_WAITING = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A deployment on home."""

    deployment: Deployment
    condition: Condition
    version: ModelVersion | None
    traffic: Traffic

    @property
    def requests(self) -> list[int]:
        return [bucket.requests for bucket in self.traffic.buckets]

    @property
    def errors(self) -> list[int]:
        """By the hour; empty where there was none, so that no line is drawn."""
        if not self.traffic.now.errors:
            return []
        return [bucket.errors for bucket in self.traffic.buckets]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that needs a person: what it is, where to go on, and why."""

    kind: str
    word: str
    title: str
    url: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way to the first prediction."""

    title: str
    text: str
    url: str
    action: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One event of the audit log, in words, and where it stands."""

    event: Event
    sentence: str
    workspace_slug: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on home."""

    rows: list[Row]
    waiting: list[Waiting]
    changes: list[Change]
    steps: list[Step]
    workspaces: list[Workspace]

    @property
    def ailing(self) -> int:
        """How many deployments do not serve as they should."""
        return sum(row.condition.kind == "bad" for row in self.rows)

    @property
    def serving(self) -> int:
        return sum(row.condition.kind == "good" for row in self.rows)


def overview(user: User, workspaces: list[Workspace], *, now: datetime) -> Overview:
    """Home for `user` over some of the workspaces that they may look into; the number of queries
    does not depend on how many deployments there are."""
    rights = rights_in(user, workspaces)
    rows = _rows(user, workspaces, now)
    return Overview(
        rows=rows,
        waiting=_waiting(user, rows, rights, now)[:_SHOWN_WAITING],
        changes=_changes(workspaces, rights),
        steps=_first_steps(rows, workspaces, rights),
        workspaces=workspaces,
    )


def _rows(user: User, workspaces: list[Workspace], now: datetime) -> list[Row]:
    deployments = list(deployments_visible_to(user).filter(workspace__in=workspaces))
    traffic = traffic_of([each.id for each in deployments], now=now)
    rows = [Row(each, condition(each), _version(each), traffic[each.id]) for each in deployments]
    return sorted(rows, key=lambda row: _ORDER[row.condition.kind])


def _version(deployment: Deployment) -> ModelVersion | None:
    """Of the active revision, or of the newest where none is active; from what was prefetched."""
    revision = deployment.active_revision or newest_revision(deployment)
    return model_of(revision) if revision else None


def _waiting(
    user: User, rows: list[Row], rights: dict[UUID, frozenset[Action]], now: datetime
) -> list[Waiting]:
    found = [
        *_failures(rows),
        *_blocked(_with_right(rights, "scan.override")),
        *_reviews(user, _with_right(rights, "prediction.evaluate"), now),
        *_drafts(user, _with_right(rights, "model.create")),
    ]
    return sorted(found, key=lambda each: _ORDER[each.kind])


def _failures(rows: list[Row]) -> Iterator[Waiting]:
    for row in rows:
        deployment, newest = row.deployment, newest_revision(row.deployment)
        place = (deployment.workspace.slug, deployment.slug)
        if deployment.desired != Deployment.Desired.RUNNING:
            continue
        if newest is None:
            if row.condition.kind == "bad":
                yield Waiting(
                    "bad",
                    "Failed",
                    deployment.name,
                    reverse("deployments:progress", args=place),
                    "Its model could not be imported.",
                    deployment.created_at,
                )
            continue
        if newest.state == Revision.State.FAILED:
            yield Waiting(
                "bad",
                "Failed",
                f"{deployment} {newest}",
                reverse("deployments:progress", args=place),
                newest.error or "The revision did not start.",
                newest.state_at,
            )
        if row.condition.kind == "bad" and deployment.active_revision is not None:
            yield Waiting(
                "bad",
                "Not answering",
                deployment.name,
                reverse("deployments:detail", args=place),
                f"No model server of {deployment.active_revision} is ready.",
                deployment.active_revision.state_at,
            )


def _blocked(workspace_ids: list[UUID]) -> Iterator[Waiting]:
    unanswered = ModelVersion.objects.filter(
        Q(artifact__scan__risk="dangerous") | Q(artifact__scan__risk="unknown", format="skops"),
        model__workspace__in=workspace_ids,
        scan_override_by=None,
    )
    newest = unanswered.select_related("model__workspace").order_by("-created_at")
    for version in newest[:_SHOWN_WAITING]:
        yield Waiting(
            "warn",
            "Blocked",
            str(version),
            reverse(
                "registry:version_detail",
                args=(version.model.workspace.slug, version.model.slug, version.number),
            ),
            "Its file would run code when it is loaded; somebody has to answer for it.",
            version.created_at,
        )


def _reviews(user: User, workspace_ids: list[UUID], now: datetime) -> Iterator[Waiting]:
    """The queues of living deployments with cases that this person could take, or holds."""
    found = ReviewQueue.objects.filter(deployment__workspace__in=workspace_ids)
    found = found.exclude(deployment__desired=Deployment.Desired.DELETED)
    queues = list(found.select_related("deployment__workspace").order_by("deployment__name"))
    for queue, progress in zip(queues, progress_of(queues, user, now=now).values(), strict=True):
        count = progress.for_me
        if count < 1 or progress.oldest is None:
            continue
        asked = f" People asked for {progress.requested} of them." if progress.requested else ""
        yield Waiting(
            "warn" if progress.requested else "none",
            "Review",
            f"{count:,} case{'s' * (count != 1)} to review",
            reverse("review:queue", args=(queue.deployment.workspace.slug, queue.id)),
            f"In the queue {queue.name} of {queue.deployment.name}.{asked}",
            progress.oldest,
        )


def _drafts(user: User, workspace_ids: list[UUID]) -> Iterator[Waiting]:
    mine = Draft.objects.filter(owner=user, workspace__in=workspace_ids)
    for draft in mine.select_related("workspace").order_by("-created_at")[:_SHOWN_WAITING]:
        yield Waiting(
            "none",
            "Draft",
            draft.name or draft.filename,
            reverse("registry:draft", args=(draft.workspace.slug, draft.id)),
            "You began to add this model; describe it, and it is a version.",
            draft.created_at,
        )


def _with_right(rights: dict[UUID, frozenset[Action]], action: Action) -> list[UUID]:
    return [identifier for identifier, allowed in rights.items() if action in allowed]


def _changes(workspaces: list[Workspace], rights: dict[UUID, frozenset[Action]]) -> list[Change]:
    slugs = {workspace.id: workspace.slug for workspace in workspaces}
    found = Event.objects.filter(workspace_id__in=_with_right(rights, "event.view"))
    return [
        Change(event, sentence(event), slugs[event.workspace_id])
        for event in found.order_by("-number")[:_SHOWN_EVENTS]
        if event.workspace_id in slugs
    ]


def _first_steps(
    rows: list[Row], workspaces: list[Workspace], rights: dict[UUID, frozenset[Action]]
) -> list[Step]:
    """The way to the first prediction, for those who may go it, until it is gone."""
    allowed = set(_with_right(rights, "deployment.create"))
    own = [each for each in workspaces if each.id in allowed]
    if not own or _was_called(row.deployment for row in rows):
        return []
    slug = own[0].slug
    has_model = bool(rows) or Model.objects.filter(workspace__in=own).exists()
    first = rows[0].deployment if rows else None
    call = reverse("predictions:try", args=(first.workspace.slug, first.slug)) if first else ""
    return [
        Step(
            "Add a model",
            "Upload the file from training, best with a sample of the training data.",
            reverse("registry:upload", args=(slug,)),
            "Upload a model",
            has_model,
        ),
        Step(
            "Deploy it",
            "It is started, checked with its example, and gets an address.",
            reverse("deployments:new", args=(slug,)),
            "Deploy a model",
            bool(rows),
        ),
        Step(
            "Call it",
            "From a form made of its features, or with curl; each answer is recorded.",
            call,
            "Try it",
            False,
        ),
    ]


def _was_called(deployments: Iterable[Deployment]) -> bool:
    ids = [each.id for each in deployments]
    return bool(ids) and TrafficHour.objects.filter(deployment__in=ids).exists()

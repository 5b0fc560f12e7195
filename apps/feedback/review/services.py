"""Making, changing, opening and closing review queues."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Deployment
from apps.deployments.selectors import newest_revision
from apps.deployments.services import model_of
from apps.feedback.models import ReviewQueue
from apps.feedback.review.causes import Cause
from apps.feedback.review.intake import start_from_now
from apps.feedback.review.selection import Selections
from apps.feedback.review.settings import QueueSettings, checked, wire_name
from apps.feedback.review.subjects import FIELDS, Model
from apps.predictions.models import PredictionRecord

LOOKED_BACK = 1_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What of the newest predictions would enter: `certain` whatever the draw, `expected` with
    the audit slice, and how many by each kind of cause."""

    looked: int
    certain: int
    expected: float
    by_cause: dict[str, int]


@transaction.atomic
def create_queue(
    *, deployment: Deployment, settings: QueueSettings, by: User, now: datetime
) -> ReviewQueue:
    """An open queue; its stream begins now. Raises Invalid with every fault and its field,
    Conflict for a name in use."""
    plain = _checked(deployment, settings)
    _refuse_double(deployment, plain.name)
    queue = ReviewQueue.objects.create(deployment=deployment, created_by=by, **plain.fields)
    start_from_now(queue)
    _record("review_queue.created", queue, by.actor, now, {"settings": _wire(plain)})
    return queue


@transaction.atomic
def change_queue(
    *, queue: ReviewQueue, settings: QueueSettings, by: Actor, now: datetime
) -> ReviewQueue:
    """Other settings, for what enters from now on; cases keep the chance that they had.

    Raises what `create_queue` raises.
    """
    plain = _checked(queue.deployment, settings)
    current = _locked(queue)
    if plain.name != current.name:
        _refuse_double(queue.deployment, plain.name)
    changes = {
        wire_name(name): {"from": getattr(current, name), "to": value}
        for name, value in plain.fields.items()
        if getattr(current, name) != value
    }
    if not changes:
        return current
    for name, value in plain.fields.items():
        setattr(current, name, value)
    current.save(update_fields=list(plain.fields))
    _record("review_queue.changed", current, by, now, changes)
    return current


@transaction.atomic
def open_queue(*, queue: ReviewQueue, by: Actor, now: datetime) -> ReviewQueue:
    """Lets predictions enter again; what came while it was closed stays out of its stream."""
    current = _locked(queue)
    if current.is_open:
        raise Conflict("This queue is open already.")
    current.is_open = True
    current.save(update_fields=["is_open"])
    start_from_now(current)
    _record("review_queue.opened", current, by, now, {})
    return current


@transaction.atomic
def close_queue(*, queue: ReviewQueue, by: Actor, now: datetime) -> ReviewQueue:
    """Nothing enters any more; what waits can still be judged."""
    current = _locked(queue)
    if not current.is_open:
        raise Conflict("This queue is closed already.")
    current.is_open = False
    current.save(update_fields=["is_open"])
    _record("review_queue.closed", current, by, now, {})
    return current


def preview(*, deployment: Deployment, settings: QueueSettings) -> Preview:
    """What the settings would have let in of the newest 1,000 predictions. Raises Invalid."""
    plain = _checked(deployment, settings)
    found = PredictionRecord.objects.filter(deployment=deployment, salt__isnull=False)
    records = list(found.order_by("-id").only(*FIELDS)[:LOOKED_BACK])
    causes = Selections(deployment, plain).causes(records)
    certain = [each for each in causes.values() if each]
    rest = len(records) - len(certain)
    return Preview(
        looked=len(records),
        certain=len(certain),
        expected=len(certain) + rest * plain.audit_probability,
        by_cause=_counts(certain),
    )


def model_for(deployment: Deployment) -> Model:
    """The model against which a queue's rules are written: the one that answers, or the newest."""
    revision = deployment.active_revision or newest_revision(deployment)
    return Model(model_of(revision).metadata if revision else {})


def _counts(found: list[list[Cause]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for causes in found:
        for kind in {each.kind for each in causes}:
            counts[kind] = counts.get(kind, 0) + 1
    return counts


def _checked(deployment: Deployment, settings: QueueSettings) -> QueueSettings:
    revision = deployment.active_revision or newest_revision(deployment)
    if revision is None:
        text = "This deployment has no model yet; make its queue when its first revision is there."
        raise Invalid(text)
    version = model_of(revision)
    has_reference = getattr(version, "reference", None) is not None
    return checked(settings, Model(version.metadata), has_reference=has_reference)


def _refuse_double(deployment: Deployment, name: str) -> None:
    if ReviewQueue.objects.filter(deployment=deployment, name=name).exists():
        text = f"This deployment has a queue {name} already; choose another name."
        raise Conflict(text, [{"field": "name", "message": text}])


def _locked(queue: ReviewQueue) -> ReviewQueue:
    """Holds off intake and other changes."""
    rows = ReviewQueue.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("deployment").get(id=queue.id)


def _record(name: str, queue: ReviewQueue, by: Actor, now: datetime, data: dict[str, Any]) -> None:
    deployment = queue.deployment
    audit.record(
        name=name,
        by=by,
        workspace_id=deployment.workspace_id,
        object_type="review_queue",
        object_id=queue.id,
        object_name=queue.name,
        data={"deploymentId": deployment.id, "deployment": deployment.name} | data,
        at=now,
    )


def _wire(settings: QueueSettings) -> dict[str, Any]:
    return {wire_name(name): value for name, value in settings.fields.items()}

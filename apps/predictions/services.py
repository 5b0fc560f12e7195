"""Acts on the log: erasing what a person may ask to have erased, and noting exports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Deployment
from apps.predictions.erasure import KINDS, PAYLOAD, event_name, kept_hash
from apps.predictions.models import LogRecord, PredictionRecord, RequestRecord

LONGEST_REASON = 300
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """The ids of what lost its content."""

    predictions: tuple[UUID, ...]
    requests: tuple[UUID, ...]


@transaction.atomic
def erase_prediction(
    *, prediction: PredictionRecord, reason: str, by: Actor, now: datetime
) -> Erased:
    """Nulls payload and salt of a prediction, and of its request where that keeps an envelope.

    The digests stay, so the seals still verify. Raises Invalid without a reason, Conflict where
    it is erased already.
    """
    erased = _erase([prediction.id], reason=_checked(reason), by=by, now=now)
    if not erased.predictions:
        raise Conflict("This prediction was erased already.")
    return erased


@transaction.atomic
def erase_request(*, request: RequestRecord, reason: str, by: Actor, now: datetime) -> Erased:
    """Nulls what a request keeps of its body, with all of its predictions.

    Raises Invalid without a reason, Conflict where it is erased already.
    """
    reason = _checked(reason)
    ids = PredictionRecord.objects.filter(request=request, salt__isnull=False)
    erased = _erase(list(ids.values_list("id", flat=True)), reason=reason, by=by, now=now)
    rest = _erase_requests({request.id}, reason=reason, by=by, now=now)
    requests = tuple({*erased.requests, *rest})
    if not requests and not erased.predictions:
        raise Conflict("This request was erased already.")
    return Erased(erased.predictions, requests)


@transaction.atomic
def erase_by_custom_id(
    *, deployment: Deployment, custom_id: str, reason: str, by: Actor, now: datetime
) -> Erased:
    """Erases every prediction of a deployment with the caller's own id for a case.

    At most 500 in one transaction: call again while the answer holds as many. Raises Invalid
    without a reason or where there is none.
    """
    reason = _checked(reason)
    found = PredictionRecord.objects.filter(deployment=deployment, custom_id=custom_id)
    ids = list(found.order_by("id").values_list("id", flat=True)[:MOST_AT_ONCE])
    if not custom_id or not ids:
        raise Invalid("No prediction of this deployment has this custom id.")
    return _erase(ids, reason=reason, by=by, now=now)


@transaction.atomic
def record_export(
    *, deployment: Deployment, format: str, filters: Sequence[str], by: Actor, now: datetime
) -> None:
    """Notes who took the log out, in which form and narrowed by which filters, not their values:
    a custom id is personal data, and events are kept for ever."""
    audit.record(
        name="prediction.exported",
        by=by,
        object_type="deployment",
        object_id=deployment.id,
        object_name=deployment.name,
        workspace_id=deployment.workspace_id,
        data={"format": format, "filters": list(filters)},
        at=now,
    )


def _erase(ids: Sequence[UUID], *, reason: str, by: Actor, now: datetime) -> Erased:
    locked = (
        PredictionRecord.objects.select_for_update(of=("self",))
        .select_related("deployment")
        .filter(id__in=ids, salt__isnull=False)
        .order_by("id")
    )
    predictions = list(locked)
    # Before the first event: who holds what a follower waits for may wait for the chain's head.
    for follower in settings.ERASURE_FOLLOWERS:
        import_string(follower)(predictions=[each.id for each in predictions], now=now)
    for prediction in predictions:
        _take(prediction, reason=reason, by=by, now=now)
    requests = {
        *RequestRecord.objects.filter(
            id__in={p.request_id for p in predictions}, envelope__isnull=False
        ).values_list("id", flat=True)
    }
    erased = _erase_requests(requests, reason=reason, by=by, now=now)
    return Erased(tuple(p.id for p in predictions), erased)


def _erase_requests(ids: set[UUID], *, reason: str, by: Actor, now: datetime) -> tuple[UUID, ...]:
    locked = (
        RequestRecord.objects.select_for_update(of=("self",))
        .select_related("deployment")
        .filter(id__in=ids, salt__isnull=False)
        .order_by("id")
    )
    requests = list(locked)
    for request in requests:
        _take(request, reason=reason, by=by, now=now)
    return tuple(request.id for request in requests)


def _take(record: LogRecord, *, reason: str, by: Actor, now: datetime) -> None:
    """Empties one record and records the event, which names ids and never content."""
    model, kind = type(record), KINDS[type(record)]
    kept = kept_hash(record)
    for name in (*PAYLOAD[model], "salt"):
        setattr(record, name, None)
    record.erased_at = now
    record.save(update_fields=[*PAYLOAD[model], "salt", "erased_at"])
    audit.record(
        name=event_name(kind),
        by=by,
        object_type=kind,
        object_id=record.id,
        object_name=record.deployment.name,
        workspace_id=record.deployment.workspace_id,
        data={"reason": reason, "deploymentId": record.deployment_id, "kept": kept},
        at=now,
    )


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        text = f"Say why it is erased, in at most {LONGEST_REASON} characters."
        raise Invalid(text, [{"field": "reason", "message": text}])
    return reason

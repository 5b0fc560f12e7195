"""Reads the log by id: newest first, a page at a time, never by offset."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import FloatField, QuerySet
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.http import Http404

from apps.accounts.models import Workspace
from apps.core.ids import first_at
from apps.deployments.models import Deployment
from apps.predictions.found import Found
from apps.predictions.models import PredictionRecord, RequestRecord

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first; `older` and `newer` are the ids to go on from, None at an end."""

    rows: list[Any]
    older: UUID | None
    newer: UUID | None


def predictions_of(
    deployment: Deployment,
    *,
    outcome: str = "",
    custom_id: str = "",
    revision: int | None = None,
    min_percent: float | None = None,
    max_percent: float | None = None,
    start: datetime | None = None,
) -> QuerySet[PredictionRecord]:
    """The predictions of a deployment, those from `start` by the time in their ids."""
    found = PredictionRecord.objects.filter(deployment=deployment)
    if outcome:
        found = found.filter(outcome=outcome)
    if custom_id:
        found = found.filter(custom_id=custom_id)
    if revision is not None:
        found = found.filter(revision__in=deployment.revisions.filter(number=revision))
    probability = Cast("score", FloatField())
    if min_percent is not None:
        found = found.filter(GreaterThanOrEqual(probability, min_percent / 100))
    if max_percent is not None:
        found = found.filter(LessThanOrEqual(probability, max_percent / 100))
    return found if start is None else found.filter(id__gte=first_at(start))


def refused_requests_of(
    deployment: Deployment, *, kind: str = "refused"
) -> QuerySet[RequestRecord]:
    """Requests that were answered with an error: `refused` all, `4xx` or `5xx` some of them."""
    low, high = {"4xx": (400, 500), "5xx": (500, 600)}.get(kind, (400, 600))
    return RequestRecord.objects.filter(
        deployment=deployment, status_code__gte=low, status_code__lt=high
    )


def page(found: Found, *, before: UUID | None = None, after: UUID | None = None) -> Page:
    """The newest rows, those before an id, or those after one."""
    if after is not None:
        rows = found.within(after=after).first(PAGE_ROWS + 1, newest_first=False)
        more_newer = len(rows) > PAGE_ROWS
        rows = rows[:PAGE_ROWS][::-1]
        older = rows[-1].id if rows else None
        return Page(rows, older, rows[0].id if rows and more_newer else None)
    rows = found.within(before=before).first(PAGE_ROWS + 1)
    more = len(rows) > PAGE_ROWS
    rows = rows[:PAGE_ROWS]
    older = rows[-1].id if more else None
    return Page(rows, older, rows[0].id if before is not None and rows else None)


def count_of_case(record: PredictionRecord) -> int:
    """How many predictions of the deployment have this one's custom id; 0 where it has none."""
    if record.custom_id is None:
        return 0
    return predictions_of(record.deployment, custom_id=record.custom_id).count()


def find_prediction(
    workspace: Workspace, identifier: UUID, *, deployment: Deployment | None = None
) -> PredictionRecord:
    """A prediction of one of the workspace's deployments, or of the one. Raises Http404."""
    found = PredictionRecord.objects.select_related("deployment__workspace", "revision", "request")
    found = found.filter(id=identifier, deployment__workspace=workspace)
    record = (found.filter(deployment=deployment) if deployment else found).first()
    if record is None:
        raise Http404("There is no such prediction in this workspace.")
    return record


def find_request(workspace: Workspace, identifier: UUID) -> RequestRecord:
    """A request to one of the workspace's deployments. Raises Http404."""
    record = (
        RequestRecord.objects.select_related("deployment__workspace", "revision")
        .filter(id=identifier, deployment__workspace=workspace)
        .first()
    )
    if record is None:
        raise Http404("There is no such request in this workspace.")
    return record

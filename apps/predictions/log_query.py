"""From the API's query string to the rows of the log."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError

from apps.core.query import Filter, Query
from apps.deployments.models import Deployment
from apps.predictions.companion import candidates, companion
from apps.predictions.found import Found
from apps.predictions.models import PredictionRecord, RequestRecord

_PAGES = {"start", "end", "offset", "limit", "sort", "before", "after"}
_STATUS = {"success": "status_code__lt", "failure": "status_code__gte"}
MOST_ROWS = 1000
# One of these leaves so few predictions that everything else is looked up from there.
_NARROW = {"id", "requestLogId", "customId"}
_MOST_RAW_PREDICTIONS = 10_000

Conditions = dict[str, Callable[[Filter], Q]]


def _status(prefix: str) -> Callable[[Filter], Q]:
    """`success` and `failure`, of the request."""

    def condition(given: Filter) -> Q:
        wanted = Q()
        for value in given.values:
            if value not in _STATUS or given.operator == "like":
                text = f"{value[:60]} is not offered; use eq:success or eq:failure."
                raise ValidationError({"status": text})
            wanted |= Q(**{f"{prefix}{_STATUS[value]}": 400})
        return wanted

    return condition


REQUEST_FILTERS: Conditions = {
    "id": lambda given: given.on("id", "uuid"),
    "status": _status(""),
    "statusCode": lambda given: given.on("status_code", "number"),
    "endpointType": lambda given: given.on("endpoint"),
}
PREDICTION_FILTERS: Conditions = {
    "id": lambda given: given.on("id", "uuid"),
    "requestLogId": lambda given: given.on("request_id", "uuid"),
    "customId": lambda given: given.on("custom_id"),
    "predictionClass": lambda given: given.on("outcome"),
    "status": _status("request__"),
    "statusCode": lambda given: given.on("request__status_code", "number"),
    "endpointType": lambda given: given.on("request__endpoint"),
}
_TELLING = ("predictionClass",)


def requests_asked_for(deployment: Deployment, parameters: dict[str, str]) -> list[RequestRecord]:
    """A page of a deployment's requests. Raises ValidationError, which names the parameter."""
    query = Query(parameters, {*_PAGES, *REQUEST_FILTERS, "includeRawBody"})
    found = RequestRecord.objects.filter(deployment=deployment)
    rows = _filtered(found, query.filters(REQUEST_FILTERS), REQUEST_FILTERS)
    return _page(Found(rows), query)


def predictions_asked_for(
    deployment: Deployment, parameters: dict[str, str], withheld: Collection[UUID] = ()
) -> list[PredictionRecord]:
    """The same for predictions, each with its request; without those of `withheld` output where a
    filter would tell what it is."""
    filters = prediction_filters()
    query = Query(parameters, {*_PAGES, *filters})
    found = PredictionRecord.objects.filter(deployment=deployment).select_related("request")
    given = query.filters(filters)
    named = {each.name for each in given}
    rows = _filtered(found, given, filters)
    if not named.isdisjoint({*_TELLING, *companion().filters}):
        rows = rows.exclude(id__in=withheld)
    is_narrow = not named.isdisjoint(_NARROW)
    return _page(Found(rows, None if is_narrow else candidates(deployment, given)), query)


def prediction_filters() -> Conditions:
    """Those on predictions themselves, and those on what stands beside them."""
    return PREDICTION_FILTERS | companion().filters


def predictions_by_request(
    requests: list[RequestRecord],
) -> dict[UUID, list[PredictionRecord]]:
    """What some requests were answered with, in order. Raises ValidationError for too many."""
    count = sum(request.count for request in requests)
    if count > _MOST_RAW_PREDICTIONS:
        text = (
            f"These {len(requests)} requests hold {count:,} instances; with raw bodies at most "
            f"{_MOST_RAW_PREDICTIONS:,} are given at once. Ask with a smaller limit."
        )
        raise ValidationError({"includeRawBody": text})
    by_request: dict[UUID, list[PredictionRecord]] = defaultdict(list)
    wanted = [request.id for request in requests]
    for record in PredictionRecord.objects.filter(request__in=wanted).order_by("position"):
        by_request[record.request_id].append(record)
    return by_request


def _filtered(
    found: QuerySet[Any], given: Iterable[Filter], conditions: Conditions
) -> QuerySet[Any]:
    for each in given:
        found = found.filter(conditions[each.name](each))
    return found


def _page(found: Found, query: Query) -> list[Any]:
    """Times and keys are bounds on the id, which holds the time; no page scans the log."""
    found = found.within(
        start=query.moment("start"),
        end=query.moment("end"),
        before=query.identifier("before"),
        after=query.identifier("after"),
    )
    limit = query.number("limit", default=10, least=1, most=MOST_ROWS)
    skipped = query.skipped_rows(limit)
    newest_first = query.newest_first({"createdAt", "id"})
    return found.first(limit, skip=skipped, newest_first=newest_first)

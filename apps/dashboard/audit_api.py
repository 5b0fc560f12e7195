"""The API of the event log: one view for a workspace, one for the whole organisation."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.access import find_workspace, require
from apps.audit import selectors
from apps.core.query import Query
from apps.dashboard.audit_wire import event_out

_TEXTS = {
    "name": "name",
    "actor": "actor",
    "actorKind": "actor_kind",
    "objectType": "object_type",
    "objectId": "object_id",
    "text": "text",
}
_NUMBERS = ("start", "end", "before", "after", "limit")
_MOST = 2**62
_schema = extend_schema(
    responses={200: OpenApiTypes.OBJECT},
    parameters=[
        *(OpenApiParameter(name, str) for name in _TEXTS),
        *(OpenApiParameter(name, int) for name in _NUMBERS),
    ],
)


class WorkspaceEvents(APIView):
    """Events of a workspace, newest first; go on with `before` or `after` a number."""

    @_schema
    def get(self, request: Request, workspace: str) -> Response:
        found = find_workspace(request.user, workspace)
        require(request.user, "event.view", found)
        return Response(_events(request, found.id))


class OrganisationEvents(APIView):
    """Events of all workspaces, of people and of the platform itself."""

    @_schema
    def get(self, request: Request) -> Response:
        require(request.user, "organisation.view_log")
        return Response(_events(request, None))


def _events(request: Request, workspace: UUID | None) -> list[dict[str, Any]]:
    query = Query(request.query_params.dict(), {*_TEXTS, *_NUMBERS})
    found = selectors.events(
        workspace=workspace,
        start=query.moment("start"),
        end=query.moment("end"),
        **{field: query.text(name) for name, field in _TEXTS.items()},
    )
    shown = selectors.page(
        found,
        before=query.number("before", default=0, least=1, most=_MOST) or None,
        after=query.number("after", default=-1, least=0, most=_MOST)
        if query.text("after")
        else None,
        rows=query.number("limit", default=10, least=1, most=1000),
    )
    return [event_out(event) for event in shown.rows]

"""The API of environments: the same reads and acts as the pages."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.audit.actor import Actor
from apps.deployments.environment_views import build_to_manage
from apps.deployments.environments import build_log, builds
from apps.deployments.environments.selectors import Row, find_row, rows_for
from apps.deployments.models import EnvironmentBuild

_ANSWER = {200: OpenApiTypes.OBJECT}
_LOG_LINES = 400


class KindIn(serializers.Serializer[Any]):
    """Body of cancel and retry: which build, where there are several kinds."""

    kind = serializers.ChoiceField(EnvironmentBuild.Kind.choices, default="venv")


class Environments(APIView):
    @extend_schema(responses=_ANSWER, operation_id="environment_list")
    def get(self, request: Request) -> Response:
        return Response([environment_out(row) for row in rows_for(request.user)])


class OneEnvironment(APIView):
    @extend_schema(responses=_ANSWER, operation_id="environment_read")
    def get(self, request: Request, environment: str) -> Response:
        row = find_row(request.user, environment)
        logs = {
            build.kind: build_log.tail(row.environment.digest, build.kind, lines=_LOG_LINES)
            for build in row.builds
        }
        return Response(environment_out(row) | {"logs": logs})


class CancelBuild(APIView):
    @extend_schema(request=KindIn, responses=_ANSWER)
    def post(self, request: Request, environment: str) -> Response:
        build = _wanted(request, environment)
        builds.cancel(build=build, by=_actor(request), now=timezone.now())
        return Response(environment_out(find_row(request.user, environment)))


class RetryBuild(APIView):
    @extend_schema(request=KindIn, responses=_ANSWER)
    def post(self, request: Request, environment: str) -> Response:
        build = _wanted(request, environment)
        builds.retry(build=build, by=_actor(request), now=timezone.now())
        return Response(environment_out(find_row(request.user, environment)))


def environment_out(row: Row) -> dict[str, Any]:
    """An environment on the wire. `usedBy` names what the reader may see."""
    environment = row.environment
    return {
        "id": str(environment.id),
        "name": environment.name,
        "digest": environment.digest,
        "python": environment.python,
        "packages": row.packages,
        "sizeBytes": row.size,
        "inUse": row.is_in_use,
        "usedBy": [
            {
                "workspaceId": str(use.deployment.workspace_id),
                "deploymentId": str(use.deployment.id),
                "revision": use.revision.number,
            }
            for use in row.uses
            if use.is_living
        ],
        "lastUsedAt": environment.last_used_at.isoformat(),
        "builds": [_build_out(build) for build in row.builds],
    }


def _build_out(build: EnvironmentBuild) -> dict[str, Any]:
    return {
        "kind": build.kind,
        "state": build.state,
        "stateAt": build.state_at.isoformat(),
        "sizeBytes": build.size,
        "error": build.error or None,
    }


def _wanted(request: Request, environment: str) -> EnvironmentBuild:
    body = KindIn(data=request.data)
    body.is_valid(raise_exception=True)
    return build_to_manage(request.user, environment, body.validated_data["kind"])  # type: ignore[arg-type]


def _actor(request: Request) -> Actor:
    """Whom the event names: the key pair where a program acts, else the person."""
    actor: Actor = getattr(request.auth or request.user, "actor")  # noqa: B009
    return actor

"""What the addresses of a workspace's uploaded files have in common: a list, and one file more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from apps.accounts.access import can, find_workspace, require
from apps.accounts.models import Workspace
from apps.registry.models import Artifact
from apps.registry.services import Upload


@dataclass(frozen=True, slots=True)
class FileKind:
    """Files of one kind: those that are `kept`, and `take`, which stores one or raises Invalid.

    `told` are the findings on a file that are shown. Before code runs somebody answers for it:
    whoever brings some learns whether they may.
    """

    kept: Callable[[Workspace], QuerySet[Artifact]]
    take: Callable[[Workspace, Upload], Artifact]
    told: tuple[str, ...]
    is_code: bool = False


class WorkspaceFiles(APIView):
    """The files of a kind; `body` describes the upload of one."""

    parser_classes = (MultiPartParser, FormParser)
    kind: FileKind
    body: type[Serializer[Any]]

    def get(self, request: Request, workspace: str) -> Response:
        found = find_workspace(request.user, workspace)
        require(request.user, "workspace.view", found)
        return Response([self._out(each) for each in self.kind.kept(found)])

    def post(self, request: Request, workspace: str) -> Response:
        found = find_workspace(request.user, workspace)
        require(request.user, "deployment.create", found)
        body = self.body(data=request.data)
        body.is_valid(raise_exception=True)
        file = body.validated_data["file"]
        made = self._out(self.kind.take(found, Upload(file.name, file.chunks())))
        if self.kind.is_code:
            made["mayAnswer"] = can(request.user, "scan.override", found)
        return Response(made, 201)

    def _out(self, artifact: Artifact) -> dict[str, Any]:
        return {
            "id": str(artifact.id),
            "filename": artifact.filename,
            "sha256": artifact.sha256,
            "size": artifact.size,
            **{each: artifact.scan.get(each) for each in self.kind.told},
            "createdAt": artifact.created_at.isoformat(),
        }

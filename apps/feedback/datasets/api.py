"""The API of data sets: asking for one, following it, and pulling its file for a training job."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import Action
from apps.accounts.authentication import TokenPrincipal
from apps.audit.actor import Actor
from apps.core.streaming import download
from apps.deployments.models import Deployment
from apps.feedback.datasets import files, services
from apps.feedback.datasets.models import DataSetExport
from apps.feedback.datasets.selectors import (
    datasets_of,
    find_dataset,
    find_opt_out,
    newest_ready,
    opt_outs_of,
)
from apps.feedback.datasets.serializers import (
    DataSetIn,
    OptOutIn,
    dataset_out,
    opt_out_out,
    settings_of,
)
from apps.predictions.log_view import LogView

_ANSWER = {200: OpenApiTypes.OBJECT}
_FILE = {(200, "application/octet-stream"): OpenApiTypes.BINARY}
_SHOWN = 100


class DataSetView(LogView):
    """For people and their key pairs; a deployment's token answers for one application, and has
    no part in the labels of all."""

    def found(
        self, request: Request, workspace: str, key: str, action: Action = "prediction.view"
    ) -> Deployment:
        deployment = self.deployment(request, workspace, key)
        if isinstance(request.user, TokenPrincipal):
            text = "A deployment's token gets no data sets; pull them with a key pair."
            raise PermissionDenied(text)
        if action != "prediction.view":
            return self.deployment(request, workspace, key, action)
        return deployment


class DataSets(DataSetView):
    @extend_schema(responses=_ANSWER, operation_id="dataset_list")
    def get(self, request, workspace, deployment):
        found = self.found(request, workspace, deployment)
        return Response([dataset_out(each) for each in datasets_of(found)[:_SHOWN]])

    @extend_schema(request=DataSetIn, responses={202: OpenApiTypes.OBJECT})
    def post(self, request, workspace, deployment):
        found = self.found(request, workspace, deployment, "dataset.make")
        body = DataSetIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.ask_for_dataset(
            deployment=found,
            settings=settings_of(body.validated_data),
            by=_actor(request),
            now=timezone.now(),
        )
        return Response(dataset_out(made), 202)


class DataSet(DataSetView):
    @extend_schema(responses=_ANSWER, operation_id="dataset")
    def get(self, request, workspace, deployment, identifier):
        found = self.found(request, workspace, deployment)
        return Response(dataset_out(find_dataset(found, identifier)))


class DataSetFile(DataSetView):
    """The file of a data set; who took it is recorded."""

    @extend_schema(responses=_FILE, operation_id="dataset_file")
    def get(self, request, workspace, deployment, identifier):
        found = self.found(request, workspace, deployment)
        return sent(request, find_dataset(found, identifier), _actor(request))


class NewestFile(DataSetView):
    """The file of the newest data set that is ready."""

    @extend_schema(responses=_FILE, operation_id="dataset_newest_file")
    def get(self, request, workspace, deployment):
        found = self.found(request, workspace, deployment)
        return sent(request, newest_ready(found), _actor(request))


class OptOuts(DataSetView):
    @extend_schema(responses=_ANSWER, operation_id="opt_out_list")
    def get(self, request, workspace, deployment):
        found = self.found(request, workspace, deployment)
        return Response([opt_out_out(each) for each in opt_outs_of(found)])

    @extend_schema(request=OptOutIn, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, workspace, deployment):
        found = self.found(request, workspace, deployment, "dataset.make")
        body = OptOutIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.opt_out(
            deployment=found,
            custom_id=body.validated_data["customId"],
            by=_actor(request),
            now=timezone.now(),
        )
        return Response(opt_out_out(made), 201)


class OptOutOf(DataSetView):
    @extend_schema(responses={204: None}, operation_id="opt_out_end")
    def delete(self, request, workspace, deployment, identifier):
        found = self.found(request, workspace, deployment, "dataset.make")
        opted_out = find_opt_out(found, identifier)
        services.opt_in(opted_out=opted_out, by=_actor(request), now=timezone.now())
        return Response(status=204)


def sent(request: Any, dataset: DataSetExport, by: Actor) -> Any:
    """A data set's file as a download, under its checksum."""
    path = services.take_dataset(dataset=dataset, by=by, now=timezone.now())
    is_csv = dataset.format == "csv"
    kind = "text/csv; charset=utf-8" if is_csv else "application/vnd.apache.parquet"
    source = getattr(request, "_request", request)
    chunks = files.chunks_of(path)
    response = download(source, chunks, filename=dataset.filename, content_type=kind)
    response["Content-Length"] = str(dataset.size_bytes)
    response["ETag"] = f'"{dataset.sha256}"'
    response["X-Content-SHA256"] = dataset.sha256
    return response


def _actor(request: Request) -> Actor:
    """Whom the event names: the key pair where a program acts, else the person."""
    actor: Actor = getattr(request.auth or request.user, "actor")  # noqa: B009
    return actor

"""The API of models and versions: one view per act, the same services as the pages."""

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.access import Action, find_workspace, require
from apps.accounts.models import Workspace
from apps.audit.actor import Actor
from apps.registry import services
from apps.registry.downloads import download
from apps.registry.models import Model, ModelVersion
from apps.registry.selectors import find_model, find_version, models_of, uses_of, versions_of
from apps.registry.serializers import (
    CardsIn,
    ModelChangeIn,
    ModelIn,
    OverrideIn,
    VersionIn,
    model_out,
    version_out,
)
from apps.registry.services import Upload
from apps.registry.source_wire import ImportIn, import_out, start_from

ANSWER = {200: OpenApiTypes.OBJECT}
MADE = {201: OpenApiTypes.OBJECT}


class RegistryView(APIView):
    """A view below a workspace; strangers get 404, members without the right 403."""

    def workspace(self, request: Request, key: str, action: Action) -> Workspace:
        workspace = find_workspace(request.user, key)
        require(request.user, action, workspace)
        return workspace

    def model(self, request: Request, workspace: str, key: str, action: Action) -> Model:
        return find_model(self.workspace(request, workspace, action), key)

    def version(
        self, request: Request, workspace: str, model: str, key: str, action: Action
    ) -> ModelVersion:
        return find_version(self.model(request, workspace, model, action), key)


class Models(RegistryView):
    @extend_schema(responses=ANSWER, operation_id="model_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "workspace.view")
        search = request.query_params.get("search", "")
        return Response([model_out(model) for model in models_of(found, search)])

    @extend_schema(request=ModelIn, responses=MADE)
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "model.create")
        body = ModelIn(data=request.data)
        body.is_valid(raise_exception=True)
        model = services.create_model(workspace=found, by=request.user, **body.validated_data)
        return Response(model_out(model), 201)


class OneModel(RegistryView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, model):
        return Response(model_out(self.model(request, workspace, model, "workspace.view")))

    @extend_schema(request=ModelChangeIn, responses=ANSWER)
    def patch(self, request, workspace, model):
        found = self.model(request, workspace, model, "model.create")
        body = ModelChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        services.change_model(model=found, by=actor_of(request), **body.validated_data)
        return Response(model_out(found))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, model):
        found = self.model(request, workspace, model, "model.create")
        services.delete_model(model=found, by=actor_of(request))
        return Response(status=204)


class Versions(RegistryView):
    @extend_schema(responses=ANSWER, operation_id="model_version_list")
    def get(self, request, workspace, model):
        found = self.model(request, workspace, model, "workspace.view")
        versions = list(versions_of(found).select_related("reference"))
        uses = uses_of(versions)
        return Response([version_out(version, uses) for version in versions])

    @extend_schema(request={"multipart/form-data": VersionIn}, responses=MADE)
    def post(self, request, workspace, model):
        """A version from the file that is sent; with a JSON body of `source`, 202 and the import
        that makes it."""
        found = self.model(request, workspace, model, "model.create")
        if "source" in request.data:
            return self.import_(request, found)
        body = VersionIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        sample = data.get("sample")
        version = services.add_version(
            model=found,
            artifact=Upload(data["artifact"].name, data["artifact"].chunks()),
            metadata=data.get("metadata"),
            sample=Upload(sample.name, sample.chunks()) if sample else None,
            target=data.get("target", ""),
            model_card=data.get("modelCard", ""),
            data_card=data.get("dataCard", ""),
            notes=data.get("notes", ""),
            by=request.user,
        )
        return Response(version_out(version, []), 201)

    def import_(self, request, model):
        body = ImportIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(import_out(start_from(request, model.workspace, body, model)), 202)


class OneVersion(RegistryView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, model, version):
        found = self.version(request, workspace, model, version, "workspace.view")
        return Response(version_out(found, uses_of([found])))

    @extend_schema(request=CardsIn, responses=ANSWER)
    def patch(self, request, workspace, model, version):
        found = self.version(request, workspace, model, version, "model.document")
        body = CardsIn(data=request.data)
        body.is_valid(raise_exception=True)
        services.edit_cards(
            version=found,
            model_card=body.validated_data.get("modelCard"),
            data_card=body.validated_data.get("dataCard"),
            by=actor_of(request),
        )
        return Response(version_out(found, uses_of([found])))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, model, version):
        found = self.version(request, workspace, model, version, "model.create")
        services.delete_version(version=found, by=actor_of(request))
        return Response(status=204)


class ArtifactFile(RegistryView):
    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request, workspace, model, version):
        found = self.version(request, workspace, model, version, "model.create")
        if found.artifact is None:
            raise Http404(f"{found} has no file here.")
        return download(found.artifact)


class OverrideScan(RegistryView):
    @extend_schema(request=OverrideIn, responses=ANSWER)
    def post(self, request, workspace, model, version):
        found = self.version(request, workspace, model, version, "scan.override")
        body = OverrideIn(data=request.data)
        body.is_valid(raise_exception=True)
        services.override_scan(version=found, reason=body.validated_data["reason"], by=request.user)
        return Response(version_out(found, uses_of([found])))


def actor_of(request: Request) -> Actor:
    """Whom the event names: the key pair where a program acts, else the person."""
    actor: Actor = getattr(request.auth or request.user, "actor")  # noqa: B009
    return actor

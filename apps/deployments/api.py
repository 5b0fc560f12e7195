"""The API of deployments and use cases: one view per act, the same services as the pages."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.access import Action, find_workspace, require
from apps.accounts.models import Workspace
from apps.audit.actor import Actor
from apps.deployments import outside_api, services
from apps.deployments.backends import backend_named
from apps.deployments.explainer_wire import explainer_for_import, explainer_in
from apps.deployments.explainers import explainer_of
from apps.deployments.import_wire import wanted_import
from apps.deployments.importing import deploy_import
from apps.deployments.models import Deployment, UseCase
from apps.deployments.selectors import deployments_of, find_deployment, replicas_of
from apps.deployments.serializers import (
    DeploymentIn,
    DetailsIn,
    RevisionIn,
    UseCaseIn,
    deployment_out,
    revision_out,
    use_case_out,
)
from apps.deployments.transformer_api import transformer_for_import, transformer_in
from apps.deployments.transformers import transformer_of

ANSWER = {200: OpenApiTypes.OBJECT}
_IMPORTED = ("modelReference", "repositoryId", "branchName", "commit", "contractPath")
_IMPORT_FIRST = (
    "An update takes a version of the registry: import it with POST versions and a source, then "
    "send its modelVersionId."
)


class WorkspaceView(APIView):
    """A view below a workspace; strangers get 404, members without the right 403."""

    def workspace(self, request: Request, key: str, action: Action) -> Workspace:
        workspace = find_workspace(request.user, key)
        require(request.user, action, workspace)
        return workspace

    def deployment(self, request: Request, workspace: str, key: str, action: Action) -> Deployment:
        return find_deployment(self.workspace(request, workspace, action), key)


class UseCases(WorkspaceView):
    @extend_schema(responses=ANSWER, operation_id="use_case_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "workspace.view")
        return Response([use_case_out(each) for each in found.use_cases.all()])

    @extend_schema(request=UseCaseIn, responses=ANSWER)
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "use_case.manage")
        body = UseCaseIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        use_case = services.create_use_case(
            workspace=found,
            name=data["name"],
            description=data.get("description", ""),
            risk=data.get("riskClassification", UseCase.Risk.UNCLASSIFIED),
            stage=data.get("stage", UseCase.Stage.DEVELOPMENT),
            by=request.user,
        )
        return Response(use_case_out(use_case), 201)


class Deployments(WorkspaceView):
    @extend_schema(responses=ANSWER, operation_id="deployment_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "workspace.view")
        return Response([deployment_out(each) for each in deployments_of(found)])

    @extend_schema(request=DeploymentIn, responses=ANSWER)
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "deployment.create")
        if request.data.get("deploymentType") in outside_api.KINDS:
            outside = outside_api.new_in(request.data)
            use_case = _use_case(found, outside.validated_data.get("useCaseId"))
            made = outside_api.create(outside, found, use_case, request.user)
            return Response(deployment_out(find_deployment(found, str(made.id))), 201)
        body = DeploymentIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        version = body.model_version(found)
        given = {
            "workspace": found,
            "name": data["name"],
            "description": data.get("description") or "",
            "use_case": _use_case(found, data.get("useCaseId")),
            "run": body.run(),
            "backend": data.get("backend"),
            "config": body.config(),
            "durability": data.get("durability", Deployment.Durability.COMMITTED),
            "by": request.user,
        }
        if version is not None:
            deployment = services.create_deployment(
                model_version=version,
                transformer=transformer_in(data, found, request.user),
                explainer=explainer_in(data, found, version, request.user),
                **given,
            )
        elif wanted := wanted_import(data, found):
            require(request.user, "model.create", found)
            from_git = wanted.source["kind"] == "git"
            transformer, from_folder = transformer_for_import(
                data, found, request.user, from_git=from_git
            )
            explainer, explains = explainer_for_import(data, found, request.user, from_git=from_git)
            deployment = deploy_import(
                source=wanted.source,
                credential=wanted.credential,
                options=wanted.options,
                transformer=transformer,
                from_folder=from_folder,
                explainer=explainer,
                explainer_from_folder=explains,
                **given,
            )
        else:
            raise serializers.ValidationError({"modelVersionId": "Say which model version."})
        return Response(deployment_out(find_deployment(found, str(deployment.id))), 201)


class OneDeployment(WorkspaceView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "workspace.view")
        return Response(deployment_out(found))

    @extend_schema(request=RevisionIn, responses=ANSWER)
    def patch(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "deployment.change")
        if found.kind != Deployment.Kind.MANAGED:
            outside_api.revise(found, request.data, request.user)
            return Response(deployment_out(find_deployment(found.workspace, str(found.id))))
        body = RevisionIn(data=request.data)
        body.is_valid(raise_exception=True)
        version = body.model_version(found.workspace)
        if version is None and (asked := _import_asked_of(request)):
            raise serializers.ValidationError({asked: _IMPORT_FIRST})
        newest = found.revisions.order_by("-number").first()
        run = body.run(services.RunSettings.of(newest) if newest else None)
        services.create_revision(
            deployment=found,
            model_version=version,
            run=run,
            note=body.validated_data.get("note", ""),
            backend=body.validated_data.get("backend"),
            config=body.config(services.config_of(newest) if newest else None),
            transformer=transformer_in(
                body.validated_data,
                found.workspace,
                request.user,
                kept=transformer_of(newest) if newest else None,
            ),
            explainer=explainer_in(
                body.validated_data,
                found.workspace,
                version or (services.model_of(newest) if newest else None),
                request.user,
                kept=explainer_of(newest) if newest else None,
            ),
            by=request.user,
        )
        return Response(deployment_out(find_deployment(found.workspace, str(found.id))))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "deployment.delete")
        services.delete_deployment(deployment=found, by=_actor(request), now=timezone.now())
        return Response(status=204)


class Description(WorkspaceView):
    @extend_schema(request=DetailsIn, responses=ANSWER)
    def patch(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "deployment.change")
        body = DetailsIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        services.change_details(
            deployment=found,
            name=data.get("name"),
            description=data.get("description"),
            use_case=_use_case(found.workspace, data.get("useCaseId")),
            durability=data.get("durability"),
            by=_actor(request),
        )
        return Response(deployment_out(find_deployment(found.workspace, str(found.id))))


class Desired(WorkspaceView):
    """POST start and POST stop."""

    desired = ""

    @extend_schema(request=None, responses=ANSWER)
    def post(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "deployment.change")
        services.set_desired(deployment=found, desired=self.desired, by=_actor(request))
        return Response(deployment_out(find_deployment(found.workspace, str(found.id))))


class Revisions(WorkspaceView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "workspace.view")
        return Response([revision_out(each) for each in found.revisions.all()])


class Restore(WorkspaceView):
    @extend_schema(request=None, responses=ANSWER)
    def post(self, request, workspace, deployment, number):
        found = self.deployment(request, workspace, deployment, "deployment.change")
        revision = found.revisions.filter(number=number).first()
        if revision is None:
            raise serializers.ValidationError({"number": f"There is no revision {number}."})
        made = services.restore_revision(revision=revision, by=request.user)
        return Response(revision_out(made), 201)


class Log(WorkspaceView):
    @extend_schema(responses=ANSWER)
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "deployment.change")
        logs = [
            {
                "revision": replica.component.revision.number,
                "replica": replica.index,
                "state": replica.state,
                "log": backend_named(replica.component.revision.backend).log(replica.handle)
                if replica.handle
                else replica.message,
            }
            for replica in replicas_of(found)
        ]
        return Response(logs)


def _import_asked_of(request: Request) -> str:
    """The key by which a body asks for a model that is not in the registry."""
    body = request.data if isinstance(request.data, dict) else {}
    return next((key for key in _IMPORTED if body.get(key)), "")


def _use_case(workspace: Workspace, identifier: UUID | None) -> UseCase | None:
    if identifier is None:
        return None
    use_case = UseCase.objects.filter(workspace=workspace, pk=identifier).first()
    if use_case is None:
        raise serializers.ValidationError({"useCaseId": "There is no such use case here."})
    return use_case


def _actor(request: Request) -> Actor:
    """Whom the event names: the key pair where a program acts, else the person."""
    actor: Actor = getattr(request.auth or request.user, "actor")  # noqa: B009
    return actor

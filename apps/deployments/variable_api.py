"""The API of environment variables. Values go in and never come out."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.authentication import actor_of
from apps.deployments import variables as services
from apps.deployments.api import WorkspaceView
from apps.deployments.models import Component, EnvironmentVariable
from apps.deployments.selectors import find_deployment, newest_revision


class VariableIn(serializers.Serializer):
    """Body of POST environmentVariables."""

    name = serializers.CharField(max_length=80)
    key = serializers.CharField(max_length=120)
    value = serializers.CharField(max_length=32_768, trim_whitespace=False)


class ValueIn(serializers.Serializer):
    """Body of PATCH on one variable."""

    value = serializers.CharField(max_length=32_768, trim_whitespace=False)


class Variables(WorkspaceView):
    @extend_schema(responses={200: OpenApiTypes.OBJECT}, operation_id="variable_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "deployment.change")
        used = services.uses_of(found)
        return Response([variable_out(each, used) for each in found.variables.all()])

    @extend_schema(request=VariableIn, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, workspace):
        found = self.workspace(request, workspace, "deployment.change")
        body = VariableIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.create_variable(workspace=found, by=request.user, **body.validated_data)
        return Response(variable_out(made, {}), 201)


class OneVariable(WorkspaceView):
    @extend_schema(request=ValueIn, responses={200: OpenApiTypes.OBJECT})
    def patch(self, request, workspace, identifier: UUID):
        found = self.workspace(request, workspace, "deployment.change")
        variable = services.find_variable(found, identifier)
        body = ValueIn(data=request.data)
        body.is_valid(raise_exception=True)
        services.replace_value(
            variable=variable, value=body.validated_data["value"], by=actor_of(request)
        )
        return Response(variable_out(variable, services.uses_of(found)))

    @extend_schema(responses={204: None})
    def delete(self, request, workspace, identifier: UUID):
        found = self.workspace(request, workspace, "deployment.change")
        variable = services.find_variable(found, identifier)
        services.delete_variable(variable=variable, by=actor_of(request))
        return Response(status=204)


class RawVariables(WorkspaceView):
    """The variables of one deployment's component, as the official client asks for their ids:
    `?deploymentId=eq:ID&artifact=eq:model`."""

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, operation_id="variable_raw_list")
    def get(self, request, workspace):
        found = self.workspace(request, workspace, "deployment.change")
        wanted = None
        if identifier := _equals(request, "deploymentId"):
            revision = newest_revision(find_deployment(found, identifier))
            kind = _equals(request, "artifact") or Component.Kind.MODEL
            if kind not in Component.Kind.values:
                raise Http404(f"There is no component called {kind}.")
            components = revision.components.all() if revision else ()
            wanted = {
                identifier
                for each in components
                if each.kind == kind
                for identifier in each.config.get("variableIds", [])
            }
        used = services.uses_of(found)
        rows = [each for each in found.variables.all() if wanted is None or str(each.id) in wanted]
        return Response({"data": [variable_out(each, used) for each in rows]})


def _equals(request, name: str) -> str:
    """The value of a filter in the client's form, `eq:value`; of its enum it sends `eq:Name.VALUE`
    where the value is meant."""
    value = str(request.query_params.get(name, "")).removeprefix("eq:")
    return value.removeprefix("Artifact.").lower() if value.startswith("Artifact.") else value


def variable_out(variable: EnvironmentVariable, used: dict[str, list[Any]]) -> dict[str, Any]:
    """A variable on the wire; its value never leaves."""
    return {
        "id": str(variable.id),
        "name": variable.name,
        "key": variable.key,
        "value": "",
        "valueEncrypted": [],
        "usedIn": [str(each.id) for each in used.get(str(variable.id), [])],
        "workspaceId": str(variable.workspace_id),
        "createdBy": str(variable.created_by_id),
        "lastUpdatedBy": str(variable.created_by_id),
        "createdAt": variable.created_at.isoformat(),
        "updatedAt": variable.updated_at.isoformat(),
    }

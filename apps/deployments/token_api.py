"""The API of a deployment's tokens."""

from typing import Any
from uuid import UUID

from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts import services as accounts
from apps.accounts.authentication import actor_of
from apps.accounts.models import DeploymentToken
from apps.accounts.selectors import tokens_of
from apps.accounts.serializers import ExpiringIn, credential_out
from apps.deployments.api import WorkspaceView


class TokenIn(ExpiringIn):
    """Body of POST tokens."""

    scopes = serializers.ListField(
        child=serializers.ChoiceField(DeploymentToken.Scope.choices), allow_empty=False
    )


class Tokens(WorkspaceView):
    @extend_schema(responses={200: OpenApiTypes.OBJECT}, operation_id="token_list")
    def get(self, request, workspace, deployment):
        found = self.deployment(request, workspace, deployment, "workspace.view")
        return Response([token_out(each) for each in tokens_of(found.id)])

    @extend_schema(request=TokenIn, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, workspace, deployment):
        """The answer carries the token's text, once."""
        found = self.deployment(request, workspace, deployment, "token.manage")
        body = TokenIn(data=request.data)
        body.is_valid(raise_exception=True)
        token, text = accounts.issue_token(
            workspace=found.workspace,
            deployment_id=found.id,
            deployment_name=found.name,
            name=body.validated_data["name"],
            scopes=body.validated_data["scopes"],
            expires_at=body.validated_data.get("expiresAt"),
            by=request.user,
        )
        answer = Response(token_out(token) | {"token": text}, 201)
        answer["Cache-Control"] = "no-store"
        return answer


class OneToken(WorkspaceView):
    @extend_schema(responses={204: None})
    def delete(self, request, workspace, deployment, identifier: UUID):
        found = self.deployment(request, workspace, deployment, "token.manage")
        token = tokens_of(found.id).filter(pk=identifier).first()
        if token is None:
            raise Http404("This deployment has no such token.")
        accounts.revoke_token(token=token, by=actor_of(request), now=timezone.now())
        return Response(status=204)


def token_out(token: DeploymentToken) -> dict[str, Any]:
    """A token on the wire, without its text."""
    return credential_out(token) | {
        "deploymentId": str(token.deployment_id),
        "workspaceId": str(token.workspace_id),
        "scopes": token.scopes,
        "createdBy": str(token.created_by_id),
    }

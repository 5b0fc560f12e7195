"""What the views of the log share: who may come in."""

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.access import Action, find_workspace, require
from apps.accounts.authentication import TokenPrincipal
from apps.accounts.models import Workspace
from apps.deployments.models import Deployment
from apps.deployments.selectors import find_deployment


class LogView(APIView):
    """A view below a deployment, for people, their key pairs and the deployment's own tokens."""

    def deployment(
        self, request: Request, workspace: str, key: str, action: Action = "prediction.view"
    ) -> Deployment:
        user = request.user
        if isinstance(user, TokenPrincipal):
            if action != "prediction.view":
                raise PermissionDenied("A deployment's token reads the log; people change it.")
            deployment = _of_token(user, workspace, key)
            if deployment is None:
                raise Http404("There is no such deployment for this token.")
            return deployment
        found = find_workspace(user, workspace)
        require(user, action, found)
        return find_deployment(found, key)


def _of_token(user: TokenPrincipal, workspace: str, key: str) -> Deployment | None:
    """The token's own deployment, where the address names it and its workspace."""
    token = user.token
    home = Workspace.objects.get(id=token.workspace_id)
    if workspace not in (str(home.id), home.slug):
        return None
    deployment = find_deployment(home, key)
    return deployment if deployment.id == token.deployment_id else None

"""From a workspace or a deployment to what a bundle of it holds."""

from datetime import datetime
from uuid import UUID

from apps.accounts.models import Workspace
from apps.deployments.models import Deployment
from apps.predictions.bundle import Scope


def scope_of(
    *, workspace: Workspace | None, deployment: str = "", since: datetime | None = None
) -> Scope | None:
    """`deployment` is a slug or an id, of a deleted deployment too. None where there is none."""
    if workspace is None:
        return Scope(since=since)
    found = Deployment.objects.filter(workspace=workspace)
    if not deployment:
        ids = frozenset(found.values_list("id", flat=True))
        return Scope(f"workspace {workspace.name}", workspace.id, None, ids, since)
    try:
        one = found.filter(id=UUID(deployment)).first()
    except ValueError:
        one = found.filter(slug=deployment).order_by("-created_at").first()
    if one is None:
        return None
    return Scope(f"deployment {one.name}", workspace.id, one.id, frozenset({one.id}), since)

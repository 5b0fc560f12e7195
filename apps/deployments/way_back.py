"""From an upload that a form needed back to that form, with all that was said there."""

from django.http import HttpRequest, QueryDict
from django.urls import reverse

from apps.accounts.access import workspace_for
from apps.deployments.selectors import find_deployment


def way_back(
    request: HttpRequest,
    workspace_slug: str,
    *,
    step: str,
    field: str = "",
    artifact: str = "",
    said: QueryDict | None = None,
) -> str:
    """The address of the flow's `step`, or of the new revision of the deployment that `said` (the
    query) names as `for`; `artifact`, where there is one, is chosen in `field`."""
    said = (said if said is not None else request.GET).copy()
    slug = said.pop("for", [""])[0]
    if artifact:
        said[field] = artifact
    if slug:
        find_deployment(workspace_for(request, workspace_slug), slug)
        address = reverse("deployments:revise", args=[workspace_slug, slug])
    else:
        said["step"] = step
        address = reverse("deployments:new", args=[workspace_slug])
    return f"{address}?{said.urlencode()}"

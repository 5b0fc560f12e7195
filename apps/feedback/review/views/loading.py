"""What every page of review begins with."""

from uuid import UUID

from django.http import HttpRequest

from apps.accounts.access import Action, require, workspace_for
from apps.feedback.models import Claim, ReviewQueue
from apps.feedback.review.selectors import find_claim, find_queue


def load_queue(
    request: HttpRequest, workspace_slug: str, identifier: UUID, action: Action
) -> ReviewQueue:
    workspace = workspace_for(request, workspace_slug)
    queue = find_queue(workspace, identifier)
    require(request.user, action, workspace)
    return queue


def load_claim(request: HttpRequest, workspace_slug: str, queue_id: UUID, claim_id: UUID) -> Claim:
    """One's own; somebody else's is as if there were none."""
    queue = load_queue(request, workspace_slug, queue_id, "prediction.evaluate")
    return find_claim(queue, claim_id, request.user)  # type: ignore[arg-type]

"""Which predictions a person judges blind, so that nothing of their output may be shown to them.

A claim hides its prediction until its holder has said what they hold right. So does one that they
gave back, that ran out, or that they skipped so lately that it can be undone: while the case waits
it may come to them again.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewQueue
from apps.feedback.review.models import UNDO_WITHIN

_MAY_GO_ON = (Claim.State.HELD, Claim.State.RELEASED, Claim.State.EXPIRED)


def hidden_from(reviewer: User, *, now: datetime) -> dict[UUID, Claim]:
    """The predictions whose output is hidden from a person, each with the claim that hides it."""
    found = _unanswered(now).filter(reviewer=reviewer)
    later = Claim.objects.filter(case=OuterRef("case"), reviewer=reviewer, id__gt=OuterRef("id"))
    evaluated = Evaluation.objects.standing().filter(
        prediction_id=OuterRef("case__prediction_id"),
        author_kind="user",
        author_id=str(reviewer.id),
    )
    found = found.exclude(Exists(later)).exclude(Exists(evaluated))
    found = found.select_related("case__queue__deployment__workspace").order_by("id")
    return {claim.case.prediction_id: claim for claim in found}


def is_hidden(claim: Claim, *, now: datetime) -> bool:
    """Whether a claim, the newest of its reviewer on the case, hides the prediction."""
    return _unanswered(now).filter(id=claim.id).exists()


def _unanswered(now: datetime) -> QuerySet[Claim]:
    lately = Q(state=Claim.State.SKIPPED, ended_at__gt=now - UNDO_WITHIN)
    found = Claim.objects.filter(
        Q(state__in=_MAY_GO_ON) | lately,
        revealed_at=None,
        is_adjudication=False,
        case__state=ReviewCase.State.WAITING,
        case__queue__mode=ReviewQueue.Mode.BLIND,
    )
    return found.exclude(case__queue__deployment__desired=Deployment.Desired.DELETED)

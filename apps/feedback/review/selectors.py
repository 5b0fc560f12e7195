"""Reads queues, what waits in them, and what a reviewer may see of a case."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Min, Q, QuerySet
from django.http import Http404

from apps.accounts.models import User, Workspace
from apps.deployments.models import Deployment
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewQueue
from apps.feedback.review.causes import REQUESTED

_DAY = timedelta(days=1)


@dataclass(slots=True)
class Progress:
    """How a queue stands. `waiting` cases want a judgement, `adjudicating` ones a decision between
    two; of both, `held` are with all whom they want, `mine` with the reviewer who looks,
    `requested` by a person, and `open_to_me` could be taken by that reviewer now. `done` and
    `done_by_me` are of the last 24 hours."""

    waiting: int = 0
    adjudicating: int = 0
    requested: int = 0
    held: int = 0
    mine: int = 0
    open_to_me: int = 0
    done: int = 0
    done_by_me: int = 0
    oldest: datetime | None = None

    @property
    def for_me(self) -> int:
        """What the reviewer could judge now: what they hold, and what they could take."""
        return self.open_to_me + self.mine


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a case its reviewer may see now. In blind mode neither the output nor why the case
    is here before the first answer; `others` are the answers between which it is decided."""

    shows_output: bool
    causes: list[dict[str, Any]]
    others: list[Claim] = field(default_factory=list)


def queues_of(workspace: Workspace) -> QuerySet[ReviewQueue]:
    """The queues of a workspace's living deployments, by deployment and name."""
    found = ReviewQueue.objects.filter(deployment__workspace=workspace)
    found = found.exclude(deployment__desired=Deployment.Desired.DELETED)
    return found.select_related("deployment__workspace").order_by("deployment__name", "name")


def find_queue(
    workspace: Workspace, identifier: UUID, *, deployment: Deployment | None = None
) -> ReviewQueue:
    """A queue of one of the workspace's deployments, or of the one. Raises Http404."""
    found = queues_of(workspace).filter(id=identifier)
    queue = (found.filter(deployment=deployment) if deployment else found).first()
    if queue is None:
        raise Http404("There is no such review queue in this workspace.")
    return queue


def find_claim(queue: ReviewQueue, identifier: UUID, reviewer: User) -> Claim:
    """One of the reviewer's own claims in a queue. Raises Http404, for those of others as well."""
    found = Claim.objects.select_related("case__queue__deployment", "reviewer", "evaluation")
    claim = found.filter(id=identifier, case__queue=queue, reviewer=reviewer).first()
    if claim is None:
        raise Http404("You hold no such case in this queue.")
    return claim


def last_ended(queue: ReviewQueue, reviewer: User) -> Claim | None:
    """The reviewer's claim that an undo would take back."""
    ended = (Claim.State.ANSWERED, Claim.State.SKIPPED)
    found = Claim.objects.filter(reviewer=reviewer, case__queue=queue, state__in=ended)
    return found.select_related("case__queue__deployment").order_by("-ended_at").first()


def cases_of(prediction: UUID) -> list[ReviewCase]:
    """The cases of a prediction in any queue, except known errors that are shown again."""
    found = ReviewCase.objects.filter(prediction_id=prediction, is_seeded=False)
    return list(found.select_related("queue").order_by("id"))


def shown(claim: Claim) -> Shown:
    """What its reviewer may see of a case."""
    case = claim.case
    is_hidden = case.queue.is_blind and claim.revealed_at is None and not claim.is_adjudication
    if is_hidden:
        return Shown(shows_output=False, causes=[])
    others: list[Claim] = []
    if claim.is_adjudication:
        answered = Claim.objects.filter(case=case, state=Claim.State.ANSWERED)
        others = list(
            answered.exclude(id=claim.id).select_related("reviewer", "evaluation", "case__queue")
        )
    return Shown(shows_output=True, causes=list(case.causes), others=others)


def correction_of(claim: Claim) -> Evaluation | None:
    """What its reviewer said of the prediction after the answer, on its page; a withdrawal, too.
    The answer stays what it was."""
    said = claim.evaluation
    if said is None or claim.ended_at is None or said.at <= claim.ended_at:
        return None
    return said


def progress_of(
    queues: Iterable[ReviewQueue], reviewer: User, *, now: datetime
) -> dict[UUID, Progress]:
    """How some queues stand, in four queries for any number of them."""
    ids = [queue.id for queue in queues]
    found = {each: Progress() for each in ids}
    for row in _open_cases(ids):
        progress = found[row.pop("queue")]
        for name, value in row.items():
            setattr(progress, name, value)
    done = ReviewCase.objects.filter(
        queue__in=ids, state=ReviewCase.State.DONE, closed_at__gte=now - _DAY
    )
    for queue, count in _by_queue(done, "queue").items():
        found[queue].done = count
    mine = Claim.objects.filter(reviewer=reviewer, case__queue__in=ids)
    held = mine.filter(state=Claim.State.HELD)
    answered = mine.filter(state=Claim.State.ANSWERED, ended_at__gte=now - _DAY)
    for queue, count in _by_queue(held, "case__queue").items():
        found[queue].mine = count
    for queue, count in _by_queue(answered, "case__queue").items():
        found[queue].done_by_me = count
    for queue, count in _closed_to(mine).items():
        found[queue].open_to_me -= count
    return found


def _open_cases(ids: Sequence[UUID]) -> list[dict[str, Any]]:
    waiting = Q(state=ReviewCase.State.WAITING)
    rows = ReviewCase.objects.open().filter(queue__in=ids).order_by().values("queue")
    free = Q(taken__lt=F("wanted"))
    counted = rows.annotate(
        waiting=Count("id", filter=waiting),
        adjudicating=Count("id", filter=~waiting),
        requested=Count("id", filter=Q(priority__gte=REQUESTED)),
        held=Count("id", filter=~free),
        open_to_me=Count("id", filter=free),
        oldest=Min("at"),
    )
    return [dict(row) for row in counted]


def _closed_to(mine: QuerySet[Claim]) -> Counter[UUID]:
    """How many of the cases that want somebody have been with this reviewer."""
    met = mine.filter(
        state__in=(Claim.State.HELD, Claim.State.ANSWERED, Claim.State.SKIPPED),
        case__state__in=ReviewCase.OPEN,
        case__taken__lt=F("case__wanted"),
    )
    return _by_queue(met, "case__queue")


def _by_queue(rows: QuerySet[Any], name: str) -> Counter[UUID]:
    return Counter(dict(rows.order_by().values_list(name).annotate(Count("id"))))

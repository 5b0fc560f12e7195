"""Who has which case: taking the next one, keeping what is typed, and giving it back.

Two people never hold the same case beyond what it wants: a case counts in `taken` who holds or
judged it, and whoever changes that, or a claim, holds the lock of the case's row. A row that
somebody has locked is passed over. Locks go in the order prediction, case, claim, and several of
one kind in the order of their ids.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from apps.accounts.models import User
from apps.core.errors import Conflict, DomainError, Invalid
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewQueue
from apps.feedback.review.blind import hidden_from
from apps.feedback.review.texts import keepable
from apps.feedback.services.evaluations import LONGEST_COMMENT
from apps.predictions.models import PredictionRecord

State = Claim.State
_AT_ONCE = 100
_DRAFT = ("verdict", "desiredOutput", "comment", "reason")
_LONGEST_DRAFT = LONGEST_COMMENT + 20_000


class Gone(DomainError):
    """There is nothing left to judge."""

    status = 410


@transaction.atomic
def claim_next(*, queue: ReviewQueue, reviewer: User, now: datetime) -> Claim | None:
    """The case that the reviewer holds already, else the first that waits for them; None where
    none does. Never one that they judged, skipped, or evaluated elsewhere; nor one that they judge
    in another queue, where either of both is blind."""
    _alone(reviewer)
    return _held(queue, reviewer, now) or _taken(queue, reviewer, now)


@transaction.atomic
def next_after(*, claim: Claim, now: datetime) -> Claim | None:
    """Another case for the same reviewer, so that it can be loaded while this one is judged; the
    one that they hold beside it, where they do."""
    queue, reviewer = claim.case.queue, claim.reviewer
    _alone(reviewer)
    return _held(queue, reviewer, now, but=claim.id) or _taken(queue, reviewer, now)


@transaction.atomic
def save_draft(*, claim: Claim, draft: dict[str, Any], now: datetime) -> Claim:
    """Keeps what was typed so far, and prolongs the hold. Raises Invalid for what is no draft,
    Conflict where somebody else has the case."""
    kept = _checked(draft)
    case, current = locked(claim)
    hold(case, current, now)
    current.draft = current.draft | kept
    current.save(update_fields=["draft", "until", "state", "ended_at"])
    return current


@transaction.atomic
def release(*, claim: Claim, now: datetime) -> Claim:
    """Gives a case back; it may come to the same reviewer again."""
    return _let_go(claim, State.RELEASED, now)


@transaction.atomic
def release_all(*, queue: ReviewQueue, reviewer: User, now: datetime) -> int:
    """Gives back all that the reviewer holds in a queue; returns how many."""
    held = _holds(queue, reviewer)
    for claim in held:
        case, current = locked(claim)
        if current.state == State.HELD:
            _end(case, current, State.RELEASED, now)
    return len(held)


@transaction.atomic
def skip(*, claim: Claim, spent_ms: int | None = None, now: datetime) -> Claim:
    """Leaves a case to others; it does not come to this reviewer again."""
    return _let_go(claim, State.SKIPPED, now, spent_ms)


def locked(claim: Claim) -> tuple[ReviewCase, Claim]:
    """The case and the claim as they are now, until the transaction ends."""
    rows = ReviewCase.objects.select_for_update(of=("self",))
    case = rows.select_related("queue__deployment").get(id=claim.case_id)
    current = Claim.objects.select_related("reviewer").get(id=claim.id)
    current.case = case
    return case, current


def hold(case: ReviewCase, claim: Claim, now: datetime) -> None:
    """Sees to it that the reviewer still holds the case, and for how long from now. A hold that
    has run out goes on where nobody has taken the case. The caller saves the claim."""
    if case.state == ReviewCase.State.WITHDRAWN:
        raise Gone("This prediction was erased: there is nothing left to judge.")
    if claim.state in (State.ANSWERED, State.SKIPPED):
        raise Conflict(f"You have {claim.state} this case already; undo that to change it.")
    if claim.state != State.HELD:
        _take_up(case, claim)
    claim.state, claim.ended_at = State.HELD, None
    claim.until = now + timedelta(minutes=case.queue.claim_minutes)


def own(claim: Claim, reviewer_id: str) -> None:
    """Raises PermissionDenied where somebody else holds it."""
    if str(claim.reviewer_id) != reviewer_id:
        raise PermissionDenied("Somebody else holds this case.")


def _take_up(case: ReviewCase, claim: Claim) -> None:
    """A hold that ended begins again."""
    mine = Claim.objects.filter(case=case, reviewer=claim.reviewer_id).exclude(id=claim.id)
    if mine.filter(state=State.SKIPPED).exists():
        raise Conflict("You left this case to others since; go on with the next case.")
    others = mine.filter(state__in=(State.HELD, State.ANSWERED))
    is_full = case.state not in ReviewCase.OPEN or case.taken >= case.wanted
    if is_full or others.exists():
        text = "Your time with this case ran out, and somebody else has it now. "
        raise Conflict(text + "What you typed is kept with it; go on with the next case.")
    case.taken += 1
    case.save(update_fields=["taken"])


def _alone(reviewer: User) -> None:
    """Lets two browsers of one person come one after the other, until the transaction ends; in
    whatever queue, since what they hold in one decides over another."""
    with connection.cursor() as cursor:
        key = f"deeploy review {reviewer.id}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def _held(
    queue: ReviewQueue, reviewer: User, now: datetime, but: UUID | None = None
) -> Claim | None:
    """The first case that the reviewer holds and can judge; others are given back."""
    for claim in _holds(queue, reviewer, but):
        case, current = locked(claim)
        if current.state != State.HELD:
            continue
        if _can_judge(case, reviewer):
            hold(case, current, now)
            current.save(update_fields=["until", "state", "ended_at"])
            return current
        _end(case, current, State.RELEASED, now)
    return None


def _holds(queue: ReviewQueue, reviewer: User, but: UUID | None = None) -> list[Claim]:
    """What the reviewer holds, oldest first. Several cases are locked at once, in their order:
    another reviewer may hold the same ones."""
    held = Claim.objects.filter(reviewer=reviewer, state=State.HELD, case__queue=queue)
    found = [each for each in held.order_by("id") if each.id != but]
    if len(found) > 1:
        cases = ReviewCase.objects.filter(id__in=[each.case_id for each in found])
        list(cases.select_for_update().order_by("id").values_list("id", flat=True))
    return found


def _can_judge(case: ReviewCase, reviewer: User) -> bool:
    if case.state not in ReviewCase.OPEN:
        return False
    return not _evaluated(reviewer).filter(prediction_id=case.prediction_id).exists()


def _taken(queue: ReviewQueue, reviewer: User, now: datetime) -> Claim | None:
    """Takes the first case that wants somebody, passing over those that others take just now."""
    _expire(queue, now)
    hidden = {} if queue.is_blind else hidden_from(reviewer, now=now)
    while True:
        case = _waiting(queue, reviewer, hidden).first()
        if case is None:
            return None
        if _has_content(case.prediction_id):
            return _claimed(case, queue, reviewer, now)
        case.state, case.closed_at, case.causes = ReviewCase.State.WITHDRAWN, now, []
        case.save(update_fields=["state", "closed_at", "causes"])


def _waiting(
    queue: ReviewQueue, reviewer: User, hidden: Collection[UUID] = ()
) -> QuerySet[ReviewCase]:
    """Of other queues' cases an assisted one shows none that is `hidden`, and a blind one takes
    none that the reviewer may have met there."""
    met = Claim.objects.filter(
        case=OuterRef("id"),
        reviewer=reviewer,
        state__in=(State.HELD, State.ANSWERED, State.SKIPPED),
    )
    evaluated = _evaluated(reviewer).filter(prediction_id=OuterRef("prediction_id"))
    rows = ReviewCase.objects.select_for_update(skip_locked=True, of=("self",))
    found = rows.filter(queue=queue, state__in=ReviewCase.OPEN, taken__lt=F("wanted"))
    if hidden:
        found = found.exclude(prediction_id__in=hidden)
    if queue.is_blind:
        elsewhere = Claim.objects.filter(
            reviewer=reviewer, case__prediction_id=OuterRef("prediction_id")
        )
        found = found.exclude(Exists(elsewhere.exclude(case__queue=queue)))
    return found.exclude(Exists(met)).exclude(Exists(evaluated)).order_by("-priority", "id")


def _claimed(case: ReviewCase, queue: ReviewQueue, reviewer: User, now: datetime) -> Claim:
    case.taken += 1
    case.save(update_fields=["taken"])
    case.queue = queue
    before = Claim.objects.filter(case=case, reviewer=reviewer).order_by("-id").first()
    return Claim.objects.create(
        case=case,
        reviewer=reviewer,
        at=now,
        until=now + timedelta(minutes=queue.claim_minutes),
        is_adjudication=case.state == ReviewCase.State.ADJUDICATION,
        draft=before.draft if before else {},
        first_answer=before.first_answer if before else None,
        revealed_at=before.revealed_at if before else None,
    )


def _expire(queue: ReviewQueue, now: datetime) -> None:
    """Gives back the cases of reviewers whose time has run out, some at once."""
    overdue = Claim.objects.filter(state=State.HELD, until__lt=now, case__queue=queue)
    cases = overdue.order_by("until").values_list("case", flat=True)[:_AT_ONCE]
    rows = ReviewCase.objects.select_for_update(skip_locked=True, of=("self",))
    for case in rows.filter(id__in=list(cases)).order_by("id"):
        for claim in Claim.objects.filter(case=case, state=State.HELD, until__lt=now):
            _end(case, claim, State.EXPIRED, now)


def _let_go(claim: Claim, state: str, now: datetime, spent_ms: int | None = None) -> Claim:
    case, current = locked(claim)
    hold(case, current, now)
    current.spent_ms = spent_ms
    _end(case, current, state, now)
    return current


def _end(case: ReviewCase, claim: Claim, state: str, now: datetime) -> None:
    claim.state, claim.ended_at = state, now
    claim.save(update_fields=["state", "ended_at", "spent_ms"])
    case.taken -= 1
    case.save(update_fields=["taken"])


def _evaluated(reviewer: User) -> QuerySet[Evaluation]:
    return Evaluation.objects.standing().filter(author_kind="user", author_id=str(reviewer.id))


def _has_content(prediction: UUID) -> bool:
    return PredictionRecord.objects.filter(id=prediction, salt__isnull=False).exists()


def _checked(draft: Any) -> dict[str, Any]:
    if not isinstance(draft, dict) or set(draft) - set(_DRAFT):
        known = ", ".join(_DRAFT)
        raise Invalid(f"A draft is an object of {known}.", [_error(f"It holds {known}.")])
    if not keepable(draft) or len(str(draft)) > _LONGEST_DRAFT:
        text = f"A draft has at most {_LONGEST_DRAFT:,} characters, all of them valid Unicode."
        raise Invalid(text, [_error(text)])
    return draft


def _error(text: str) -> dict[str, str]:
    return {"field": "draft", "message": text}

"""A queue of a classifier's deployment, and people who work through it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Membership, User, Workspace
from apps.deployments.models import Deployment
from apps.feedback.authors import author_of
from apps.feedback.models import Claim, ReviewCase, ReviewQueue
from apps.feedback.review import answers, claims, intake, services
from apps.feedback.review.settings import QueueSettings
from apps.feedback.services import Judgement
from apps.predictions.models import PredictionRecord
from tests.conftest import make_user
from tests.predictions.factories import prediction_of

BAD = [{"kind": "class", "classes": ["bad"]}]
REASONS = [{"key": "wrong-input", "text": "An input is wrong"}]


def make_queue(deployment: Deployment, by: User, **given: Any) -> ReviewQueue:
    """Open, with every bad prediction in it and no audit slice, unless told otherwise."""
    shared: dict[str, Any] = {"name": "All", "rules": BAD, "audit_probability": 0.0}
    return services.create_queue(
        deployment=deployment,
        settings=QueueSettings(**(shared | {"reasons": REASONS} | given)),
        by=by,
        now=timezone.now(),
    )


def take_in(queue: ReviewQueue) -> int:
    return intake.take_in(queue=queue, now=timezone.now())


def claim(queue: ReviewQueue, reviewer: User) -> Claim:
    found = claims.claim_next(queue=queue, reviewer=reviewer, now=timezone.now())
    assert found is not None
    return found


def nothing_for(queue: ReviewQueue, reviewer: User) -> bool:
    return claims.claim_next(queue=queue, reviewer=reviewer, now=timezone.now()) is None


def answer(held: Claim, verdict: str = "agree", **said: Any) -> Claim:
    return answers.answer(
        claim=held,
        judgement=Judgement(verdict, **said),
        by=author_of(held.reviewer),
        now=timezone.now(),
    )


def undo(ended: Claim) -> Claim:
    return answers.undo(claim=ended, by=author_of(ended.reviewer), now=timezone.now())


def case_of(held: Claim) -> ReviewCase:
    return ReviewCase.objects.get(id=held.case_id)


@pytest.fixture
def queue(deployment: Deployment, operator: User) -> ReviewQueue:
    return make_queue(deployment, operator)


@pytest.fixture
def waiting(queue: ReviewQueue, deployment: Deployment) -> PredictionRecord:
    """The one prediction that waits in the queue; the model said bad."""
    record = prediction_of(deployment, custom_ids=["A-1"])
    take_in(queue)
    return record


@pytest.fixture
def reviewers(workspace: Workspace) -> Callable[[int], list[User]]:
    def make(count: int) -> list[User]:
        made = [make_user(f"reviewer{number}") for number in range(count)]
        for user in made:
            Membership.objects.create(workspace=workspace, user=user, role="reviewer")
        return made

    return make


@pytest.fixture
def second(workspace: Workspace) -> User:
    return _reviewer(workspace, "second")


@pytest.fixture
def third(workspace: Workspace) -> User:
    return _reviewer(workspace, "third")


def _reviewer(workspace: Workspace, name: str) -> User:
    user = make_user(name)
    Membership.objects.create(workspace=workspace, user=user, role="reviewer")
    return user

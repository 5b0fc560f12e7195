"""A queue whose cases people judge on their pages."""

import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.deployments.models import Deployment
from apps.feedback.models import Claim, ReviewQueue
from apps.feedback.review import claims, intake, services
from apps.feedback.review.settings import QueueSettings
from apps.predictions.models import PredictionRecord
from tests.conftest import make_user
from tests.predictions.factories import prediction_of

HTMX = {"HX-Request": "true"}
REVIEW = "/w/retail-credit/review/"
REASONS = [
    {"key": "wrong-input", "text": "An input is wrong"},
    {"key": "policy", "text": "Policy says otherwise"},
]


def text_of(answer: HttpResponse) -> str:
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def make_queue(deployment: Deployment, by: User, **given: Any) -> ReviewQueue:
    """Open; every bad prediction enters, none by chance, unless told otherwise."""
    shared: dict[str, Any] = {
        "name": "Bad ones",
        "rules": [{"kind": "class", "classes": ["bad"]}],
        "audit_probability": 0.0,
        "reasons": REASONS,
    }
    return services.create_queue(
        deployment=deployment,
        settings=QueueSettings(**(shared | given)),
        by=by,
        now=timezone.now(),
    )


def enter(queue: ReviewQueue, count: int = 1, **given: Any) -> list[PredictionRecord]:
    """So many predictions that the model calls bad, in the queue."""
    made = [prediction_of(queue.deployment, **given) for _ in range(count)]
    intake.take_in(queue=queue, now=timezone.now())
    return made


def claim_of(queue: ReviewQueue, reviewer: User) -> Claim:
    found = claims.claim_next(queue=queue, reviewer=reviewer, now=timezone.now())
    assert found is not None
    return found


def page_of(claim: Claim, part: str = "") -> str:
    return f"{REVIEW}{claim.case.queue_id}/cases/{claim.id}/{part}"


def answered(client: Client, claim: Claim, **said: Any) -> HttpResponse:
    return client.post(page_of(claim, "answer/"), {"verdict": "agree"} | said)


@pytest.fixture
def queue(deployment: Deployment, operator: User) -> ReviewQueue:
    return make_queue(deployment, operator)


@pytest.fixture
def blind(deployment: Deployment, operator: User) -> ReviewQueue:
    return make_queue(deployment, operator, name="Blind ones", mode="blind")


@pytest.fixture
def second(deployment: Deployment) -> User:
    user = make_user("second")
    Membership.objects.create(workspace=deployment.workspace, user=user, role="reviewer")
    return user

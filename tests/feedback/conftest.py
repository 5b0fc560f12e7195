"""A deployment of a classifier with predictions in its log; nothing serves it."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.feedback.authors import Author, author_of
from apps.predictions.models import PredictionRecord
from tests.deployments.test_api import Api
from tests.predictions.conftest import deployment
from tests.predictions.factories import prediction_of

__all__ = ["deployment"]


@pytest.fixture
def record(deployment: Deployment) -> PredictionRecord:
    """The model said bad, with the custom id A-1."""
    return prediction_of(deployment, custom_ids=["A-1"])


@pytest.fixture
def author(reviewer: User) -> Author:
    return author_of(reviewer)


@pytest.fixture
def other_author(operator: User) -> Author:
    return author_of(operator)


class Caller:
    """A program below one deployment, with a key pair of `user` or the text of a token."""

    def __init__(
        self, deployment: Deployment, *, user: User | None = None, token: str = ""
    ) -> None:
        self.base = f"/workspaces/{deployment.workspace_id}/deployments/{deployment.id}/"
        self.headers = {"authorization": f"Bearer {token}"} if token else {}
        if user is not None:
            self.headers = Api(user).headers

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = Client().generic(
            method,
            self.base + path,
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=self.headers,
        )
        return answer.status_code, answer.json() if answer.content else None

    def evaluate(self, record: PredictionRecord, **body: Any) -> tuple[int, Any]:
        return self.call("POST", f"predictionLogs/{record.id}/evaluatePrediction", body)

    def actuals(self, **body: Any) -> tuple[int, Any]:
        return self.call("PUT", "actuals", body)

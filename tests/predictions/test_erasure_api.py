"""Erasure over the API: who may, and what it answers."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.predictions.models import PredictionRecord
from tests.predictions.factories import prediction_of


def call(user: User | None, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    client = Client()
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    text = "" if body is None else json.dumps(body)
    answer = client.generic(method, path, text, content_type="application/json")
    return answer.status_code, answer.json()


@pytest.fixture
def logs(deployment: Deployment) -> str:
    return f"/workspaces/{deployment.workspace_id}/deployments/{deployment.id}/predictionLogs"


@pytest.fixture
def record(deployment: Deployment) -> PredictionRecord:
    return prediction_of(deployment, custom_ids=["A-1"])


def test_one_prediction_is_erased_once(record: PredictionRecord, logs: str, owner: User) -> None:
    path = f"{logs}/{record.id}?reason=asked"
    status, body = call(owner, "DELETE", path)
    assert (status, body["predictionLogIds"]) == (200, [str(record.id)])
    record.refresh_from_db()
    assert record.input is None
    assert call(owner, "DELETE", path)[0] == 409


def test_the_reason_may_stand_in_the_body(record: PredictionRecord, logs: str, owner: User) -> None:
    status, body = call(owner, "DELETE", f"{logs}/{record.id}")
    assert (status, body["errors"][0]["field"]) == (400, "reason")
    assert call(owner, "DELETE", f"{logs}/{record.id}", {"reason": "asked"})[0] == 200


def test_a_case_is_erased_by_its_custom_id(
    record: PredictionRecord, deployment: Deployment, logs: str, owner: User
) -> None:
    prediction_of(deployment, custom_ids=["A-1"])
    body = {"customId": "A-1", "reason": "asked"}
    status, answer = call(owner, "POST", f"{logs}/erase", body)
    assert (status, len(answer["predictionLogIds"]), answer["complete"]) == (200, 2, True)
    assert call(owner, "POST", f"{logs}/erase", body)[0] == 400
    assert call(owner, "POST", f"{logs}/erase", {"customId": "A-2"})[0] == 400


def test_only_owners_may_erase(
    record: PredictionRecord, logs: str, operator: User, auditor: User, outsider: User
) -> None:
    body = {"customId": "A-1", "reason": "asked"}
    for method, path in (("DELETE", f"{logs}/{record.id}"), ("POST", f"{logs}/erase")):
        assert call(operator, method, path, body)[0] == 403
        assert call(auditor, method, path, body)[0] == 403
        assert call(outsider, method, path, body)[0] == 404
        assert call(None, method, path, body)[0] in (401, 403)
    record.refresh_from_db()
    assert record.input is not None


def test_unknown_predictions_and_other_methods(logs: str, owner: User) -> None:
    assert call(owner, "DELETE", f"{logs}/{uuid7()}?reason=x")[0] == 404
    assert call(owner, "PUT", f"{logs}/erase", {})[0] == 405

"""Predictions through the real path: what comes back, what is recorded, what is refused."""

import json
import os
import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.accounts import credentials
from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments import services as deployments
from apps.predictions.models import PredictionRecord, RequestRecord
from tests.predictions.gateway.conftest import CASE, Served

pytestmark = pytest.mark.slow


def test_an_answer_equals_plain_python_and_is_recorded(served: Served) -> None:
    status, body, _ = served.predict({"instances": [CASE]})
    assert status == 200
    assert body["predictions"][0] == pytest.approx(served.expected(CASE), abs=1e-12)
    request = RequestRecord.objects.get(id=body["requestLogId"])
    prediction = PredictionRecord.objects.get(id=body["predictionLogIds"][0])
    assert prediction.request_id == request.id
    assert prediction.input_value == CASE
    assert prediction.output_value == body["predictions"][0]
    assert prediction.outcome == ("good" if body["predictions"][0][0] > 0.5 else "bad")
    assert float(prediction.score) == max(body["predictions"][0])
    assert (request.caller_kind, request.caller_name) == ("token", "Branch portal")
    assert request.revision_id == served.deployment.active_revision_id
    assert request.count == 1
    call_command("verify")


def test_every_family_gives_the_same_predictions(served: Served) -> None:
    name = served.deployment.slug
    _, ours, _ = served.predict({"instances": [CASE, CASE]})
    _, bare, _ = served.predict(json.dumps([CASE, CASE]).encode())
    _, v1, headers = served.predict({"instances": [CASE, CASE]}, f"/v1/models/{name}:predict")
    tensors = [
        {"name": "age", "shape": [2], "datatype": "INT64", "data": [35, 35]},
        {"name": "city", "shape": [2], "datatype": "BYTES", "data": ["Goes", "Goes"]},
        {"name": "income", "shape": [2], "datatype": "FP64", "data": [1234.5, 1234.5]},
    ]
    _, v2, _ = served.predict({"inputs": tensors}, f"/v2/models/{name}/infer")
    _, mixed, _ = served.predict({"inputs": tensors})
    assert bare["predictions"] == v1["predictions"] == mixed["predictions"] == ours["predictions"]
    assert v2["outputs"][0]["shape"] == [2, 2]
    assert v2["outputs"][0]["data"] == [p for row in ours["predictions"] for p in row]
    assert set(v1) == {"predictions"}
    assert RequestRecord.objects.filter(id=headers["x-request-log-id"], protocol="v1").exists()
    assert len(mixed["predictionLogIds"]) == 2


BAD_BODIES: list[tuple[Any, str]] = [
    (b"{not json", "not JSON"),
    (b"", "empty"),
    (b"[" * 10_000, "nested too deeply"),
    (b'{"instances": [{"age": NaN, "city": "Ede", "income": 1}]}', "NaN or Infinity"),
    (b'{"instances": [{"age": 1e999, "city": "Ede", "income": 1}]}', ""),
    ({"rows": []}, "neither"),
    ({"instances": []}, "no instances"),
    ({"instances": {"a": 1}}, "must be a list"),
    ({"instances": [CASE] * 10_001}, "10,001 instances"),
    ({"instances": [CASE | {"agee": 1}]}, "did you mean age?"),
    ({"instances": [{"age": 35, "city": "Ede"}]}, "income is missing"),
    ({"instances": [CASE | {"income": "much"}]}, "must be a number"),
    ({"instances": [CASE | {"income": None}]}, "no missing value"),
    ({"instances": [CASE | {"city": "Oss"}]}, "unknown category"),
    ({"instances": [[35, "Ede"]]}, "has 2 values; the model takes 3"),
    ({"instances": [CASE], "customId": "x" * 201}, "customId"),
]


def test_a_bad_body_is_refused_with_its_reason_and_recorded(served: Served) -> None:
    for body, message in BAD_BODIES:
        status, answer, _ = served.predict(body)
        assert status == 400, message
        assert message in answer["message"]
        assert answer["statusCode"] == 400
        record = RequestRecord.objects.get(id=answer["requestLogId"])
        assert (record.status_code, record.error, record.count) == (400, answer["message"], 0)
    assert served.predict({"instances": [CASE]})[0] == 200


def test_a_fault_names_instance_and_feature(served: Served) -> None:
    _, answer, _ = served.predict({"instances": [CASE, CASE | {"city": "Oss"}]})
    assert answer["errors"] == [
        {
            "instance": 1,
            "feature": "city",
            "message": 'city has the unknown category "Oss"; known are Ede, Goes, Urk',
        }
    ]


def test_a_body_of_50_mb_is_refused(served: Served) -> None:
    status, answer, _ = served.predict(b" " * 50 * 1024**2)
    assert status == 413
    assert "larger than" in answer["message"]


def test_callers_without_right_learn_nothing(
    served: Served, other_workspace: Workspace, outsider: User, operator: User
) -> None:
    body = {"instances": [CASE]}
    assert served.predict(body, token="DPTwrong")[0] == 401
    assert served.server.request("POST", served.path, body)[0] == 401
    _, foreign = accounts.issue_token(
        workspace=other_workspace,
        deployment_id=credentials.UUID(int=5),
        deployment_name="x",
        name="x",
        scopes=["predict"],
        by=outsider,
    )
    _, narrow = accounts.issue_token(
        workspace=served.deployment.workspace,
        deployment_id=served.deployment.id,
        deployment_name="x",
        name="x",
        scopes=["actuals"],
        by=operator,
    )
    _, old = accounts.issue_token(
        workspace=served.deployment.workspace,
        deployment_id=served.deployment.id,
        deployment_name="x",
        name="x",
        scopes=["predict"],
        expires_at=timezone.now() - timedelta(seconds=1),
        by=operator,
    )
    served.wait_for(lambda: served.predict(body, token=narrow)[0] == 403, seconds=3)
    nothing = served.predict(body, path="/workspaces/none/deployments/none/predict")
    hidden = served.predict(body, token=foreign)
    assert hidden[0] == nothing[0] == 404
    assert hidden[1] == nothing[1]
    assert served.predict(body, token=old)[0] == 401


def test_a_revoked_token_stops_working_within_two_seconds(served: Served) -> None:
    body = {"instances": [CASE]}
    assert served.predict(body)[0] == 200
    accounts.revoke_token(token=served.token, by=served.token.created_by.actor, now=timezone.now())
    assert served.wait_for(lambda: served.predict(body)[0] == 401, seconds=2) < 2


def test_a_signed_in_person_may_try(served: Served, reviewer: User, outsider: User) -> None:
    body = {"instances": [CASE]}
    mine = credentials.sign_user_call(reviewer.id, served.deployment.id)
    accounts.notify_credentials()
    served.wait_for(lambda: served.predict(body, token=mine)[0] == 200, seconds=3)
    theirs = credentials.sign_user_call(outsider.id, served.deployment.id)
    assert served.predict(body, token=theirs)[0] == 404


def test_the_callers_own_id_is_kept_and_not_shown_to_the_model(served: Served) -> None:
    status, answer, _ = served.predict({"instances": [CASE | {"applicationId": "A-17"}]})
    assert status == 200
    record = PredictionRecord.objects.get(id=answer["predictionLogIds"][0])
    assert record.custom_id == "A-17"
    assert record.input_value == CASE


def test_a_stopped_deployment_says_so(served: Served, operator: User) -> None:
    deployments.set_desired(deployment=served.deployment, desired="stopped", by=operator.actor)
    served.wait_for(lambda: served.predict({"instances": [CASE]})[0] == 503, seconds=3)
    _, answer, headers = served.predict({"instances": [CASE]})
    assert "stopped" in answer["message"]
    assert headers["retry-after"] == "1"


def test_a_killed_model_server_hangs_nobody_and_comes_back(served: Served) -> None:
    replica = served.deployment.active_revision.components.get().replicas.get()
    os.kill(replica.handle["pid"], signal.SIGKILL)
    status, _, _ = served.predict({"instances": [CASE]})
    assert status == 503

    def back() -> bool:
        served.reconciler.tick(timezone.now())
        return served.predict({"instances": [CASE]})[0] == 200

    most = max(5.0, 2 * served.start_seconds)  # the latter where the machine is busy with others
    assert served.wait_for(back, seconds=15) < most


def test_explaining_without_an_explainer_is_409(served: Served, operator: User) -> None:
    _, both = accounts.issue_token(
        workspace=served.deployment.workspace,
        deployment_id=served.deployment.id,
        deployment_name="x",
        name="x",
        scopes=["predict", "explain"],
        by=operator,
    )
    path = served.path.replace("/predict", "/explain")
    served.wait_for(
        lambda: served.predict({"instances": [CASE]}, path=path, token=both)[0] == 409, seconds=3
    )


def test_the_protocols_describe_the_model(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.text}"}
    get = served.server.request
    assert get("GET", "/v2")[1]["name"] == "deeploy"
    assert get("GET", "/v2/health/live")[0] == 200
    assert get("GET", "/v2/models/credit-risk/ready", headers=headers)[0] == 200
    assert get("GET", "/v1/models/credit-risk", headers=headers)[1]["ready"] is True
    inputs = get("GET", "/v2/models/credit-risk", headers=headers)[1]["inputs"]
    assert [each["name"] for each in inputs] == ["age", "city", "income"]
    assert get("GET", "/v2/models/credit-risk")[0] == 401
    assert get("GET", "/v2/models/other", headers=headers)[0] == 404
    assert get("GET", served.path, headers=headers)[0] == 405

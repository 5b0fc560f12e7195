"""The log's API: the official client's filters and shapes, keys for large logs, and proofs."""

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments.models import Deployment
from apps.predictions.models import PredictionRecord, RequestRecord
from tests.predictions.records import Call, make_deployment, write

# What the official client's models cannot do without.
REQUEST = {
    "id": str,
    "deploymentId": str,
    "requestContentType": str,
    "responseTimeMS": int,
    "statusCode": int,
    "createdAt": str,
}
PREDICTION = {
    "id": str,
    "requestLog": dict,
    "requestLogId": str,
    "createdAt": str,
    "tags": dict,
    "endpointType": str,
}


@pytest.fixture
def deployment(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Deployment:
    return make_deployment(workspace, "Credit risk", operator, tmp_path)


@pytest.fixture
def other_deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    return make_deployment(workspace, "Income check", operator, tmp_path)


@pytest.fixture
def log(deployment: Deployment, other_deployment: Deployment) -> None:
    def call(**more: Any) -> Call:
        return Call(deployment.id, deployment.revisions.get().id, **more)

    write(
        [call(custom_id="A-1")],
        [
            call(status=400),
            Call(other_deployment.id, other_deployment.revisions.get().id, outcomes=["bad"]),
            call(outcomes=["bad", "bad", "good"], caller_kind="key_pair"),
        ],
    )


class Api:
    """A program with a key pair of `user`, or with the text of a token."""

    def __init__(self, deployment: Deployment, user: User | None = None, token: str = "") -> None:
        self.base = f"/workspaces/{deployment.workspace_id}/deployments/{deployment.id}/"
        self.headers = {"authorization": f"Bearer {token}"}
        if user is not None:
            pair, secret = accounts.create_key_pair(user=user, name="test")
            code = base64.b64encode(f"{pair.access_key}:{secret}".encode()).decode()
            self.headers = {"authorization": f"Basic {code}"}

    def get(self, path: str) -> tuple[int, Any]:
        answer = Client().get(self.base + path, headers=self.headers)
        return answer.status_code, answer.json()

    def rows(self, path: str) -> list[Any]:
        status, body = self.get(path)
        assert status == 200, body
        assert isinstance(body, list)
        return body


@pytest.fixture
def api(log: None, deployment: Deployment, reviewer: User) -> Api:
    return Api(deployment, reviewer)


def test_both_logs_are_bare_arrays_of_what_the_client_needs(api: Api) -> None:
    for path, needed, count in (("requestLogs", REQUEST, 3), ("predictionLogs", PREDICTION, 5)):
        rows = api.rows(path)
        assert len(rows) == count
        for key, kind in needed.items():
            assert all(isinstance(row[key], kind) for row in rows), key


def test_a_prediction_carries_its_bodies_and_its_request(api: Api) -> None:
    row = api.rows("predictionLogs?customId=eq:A-1")[1]
    assert row["requestBody"] == {"instances": [{"age": 40, "name": "é \u2028"}]}
    assert row["responseBody"] == {"predictions": [[0.1, 0.9]]}
    assert row["tags"] == {"customId": "A-1"}
    assert row["requestLog"]["id"] == row["requestLogId"]
    assert row["requestLog"]["tokenId"] is not None
    assert row["requestLog"]["personalKeysId"] is None


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("predictionLogs?predictionClass=eq:bad", 3),
        ("predictionLogs?predictionClass=in:bad,good", 5),
        ("predictionLogs?predictionClass=good", 2),
        ("predictionLogs?customId=like:a-", 2),
        ("predictionLogs?status=eq:success", 5),
        ("predictionLogs?statusCode=in:400,500", 0),
        ("predictionLogs?endpointType=eq:explain", 0),
        ("requestLogs?status=eq:failure", 1),
        ("requestLogs?status=in:failure,success", 3),
        ("requestLogs?statusCode=eq:400", 1),
        ("requestLogs?endpointType=eq:predict", 3),
    ],
)
def test_filters_narrow_the_log(api: Api, path: str, count: int) -> None:
    assert len(api.rows(path)) == count


def test_ids_and_requests_are_found(api: Api) -> None:
    first, second, *_ = api.rows("predictionLogs")
    assert len(api.rows(f"predictionLogs?id=in:{first['id']},{second['id']}")) == 2
    assert len(api.rows(f"predictionLogs?requestLogId=eq:{first['requestLogId']}")) == 3
    assert len(api.rows(f"requestLogs?id=eq:{first['requestLogId']}")) == 1


def test_times_are_milliseconds(api: Api) -> None:
    now = timezone.now()
    past, future = (round((now + timedelta(hours=hours)).timestamp() * 1000) for hours in (-1, 1))
    assert len(api.rows(f"predictionLogs?start={past}&end={future}")) == 5
    assert api.rows(f"predictionLogs?start={future}") == []
    assert api.rows(f"requestLogs?end={past}") == []


def test_pages_by_offset_count_in_limits_and_by_key_in_ids(api: Api) -> None:
    everything = [row["id"] for row in api.rows("predictionLogs")]
    assert everything == sorted(everything, reverse=True)
    second = [row["id"] for row in api.rows("predictionLogs?limit=2&offset=1")]
    assert second == everything[2:4]
    key = [row["id"] for row in api.rows(f"predictionLogs?limit=2&before={everything[1]}")]
    assert key == second
    newer = api.rows(f"predictionLogs?after={everything[2]}&sort=createdAt:asc")
    assert [row["id"] for row in newer] == [everything[1], everything[0]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("actual=eq:true", "actual: true is not offered"),
        ("evaluation=eq:loved", "evaluation: loved is not offered"),
        ("colour=eq:red", "colour: There is no such filter"),
        ("limit=1001", "limit: It may be 1 to 1,000"),
        ("limit=ten", "limit: ten is not a whole number"),
        ("sort=outcome:asc", "sort: outcome:asc is not offered"),
        ("id=eq:7", "id: 7 is not a UUID"),
        ("id=like:7", "id: Only eq: and in:"),
        ("statusCode=eq:x", "statusCode: x is not a whole number"),
        ("status=eq:fine", "status: fine is not offered"),
        ("before=7", "before: 7 is not a UUID"),
        ("offset=900000&limit=1000", "offset: It would skip"),
        ("customId=eq:a%00b", "customId: Text with NUL"),
    ],
)
def test_what_cannot_be_asked_is_named(api: Api, query: str, message: str) -> None:
    status, body = api.get(f"predictionLogs?{query}")
    assert (status, body["statusCode"]) == (400, 400)
    assert body["message"].startswith(message)


def test_raw_bodies_come_when_asked_for(api: Api) -> None:
    newest, refused, _ = api.rows("requestLogs?includeRawBody=true")
    assert newest["rawRequestBody"]["parameters"] == {"a": 1}
    assert len(newest["rawRequestBody"]["instances"]) == 3
    assert newest["rawResponseBody"] == {"predictions": [[0.1, 0.9]] * 3}
    assert refused["rawRequestBody"] == {"instances": [{}]}
    assert refused["rawResponseBody"]["message"] == "age is missing"


def test_one_prediction_can_be_checked_by_hand(api: Api) -> None:
    key = api.rows("predictionLogs")[1]["id"]
    record = api.get(f"predictionLogs/{key}")[1]["record"]
    assert record["state"] == "intact"
    text = json.dumps(record["content"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    salted = hashlib.sha256(bytes.fromhex(record["salt"]) + text.encode()).digest()
    assert salted.hex() == record["digest"]
    assert climb(salted, record) == record["root"]


def climb(digest: bytes, record: dict[str, Any]) -> str:
    """RFC 9162, 2.1.3.2: from a leaf to the root."""
    index, last = record["index"], record["count"] - 1
    value = hashlib.sha256(b"\x00" + digest).digest()
    for step in map(bytes.fromhex, record["path"]):
        if index % 2 or index == last:
            value = hashlib.sha256(b"\x01" + step + value).digest()
            while not index % 2 and index:
                index, last = index // 2, last // 2
        else:
            value = hashlib.sha256(b"\x01" + value + step).digest()
        index, last = index // 2, last // 2
    return value.hex()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("outcome = 'good'", "altered"),
        ("digest = '\\x00'", "unsealed"),
        ("input = NULL, output = NULL, salt = NULL, erased_at = now()", "erased"),
    ],
)
def test_one_prediction_tells_what_was_done_to_it(api: Api, change: str, state: str) -> None:
    key = api.rows("predictionLogs?predictionClass=eq:bad")[0]["id"]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE predictions_prediction SET {change} WHERE id = %s", [key])
    body = api.get(f"predictionLogs/{key}")[1]
    assert body["record"]["state"] == state
    assert (body["responseBody"] is None) == (state == "erased")


def test_a_token_reads_its_own_deployment_only(
    log: None, deployment: Deployment, other_deployment: Deployment, operator: User
) -> None:
    _, text = accounts.issue_token(
        workspace=deployment.workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name="Portal",
        scopes=["predict"],
        by=operator,
    )
    assert len(Api(deployment, token=text).rows("predictionLogs")) == 5
    status, body = Api(other_deployment, token=text).get("predictionLogs")
    assert (status, body["statusCode"]) == (404, 404)
    assert Api(deployment, token="DPTwrong").get("requestLogs")[0] == 401


@pytest.mark.parametrize("path", ["requestLogs", "predictionLogs", "predictionLogs/{id}"])
def test_the_log_is_for_those_who_see_the_workspace(
    log: None,
    deployment: Deployment,
    outsider: User,
    auditor: User,
    client_for: Any,
    path: str,
) -> None:
    record = PredictionRecord.objects.filter(deployment=deployment).first()
    assert record is not None
    path = path.format(id=record.id)
    assert Api(deployment, outsider).get(path)[0] == 404
    assert Api(deployment, auditor).get(path)[0] == 200
    address = Api(deployment, auditor).base + path
    assert client_for(auditor).get(address).status_code == 200
    assert Client().get(address).status_code == 401
    assert client_for(auditor).post(address).status_code == 405


def test_a_prediction_of_another_deployment_is_not_found(
    log: None, deployment: Deployment, other_deployment: Deployment, reviewer: User
) -> None:
    foreign = PredictionRecord.objects.get(deployment=other_deployment)
    assert Api(deployment, reviewer).get(f"predictionLogs/{foreign.id}")[0] == 404


def test_a_page_costs_the_same_for_many(
    deployment: Deployment, reviewer: User, django_assert_max_num_queries: Any
) -> None:
    revision = deployment.revisions.get().id
    write([Call(deployment.id, revision, outcomes=["good"] * 50) for _ in range(4)])
    api = Api(deployment, reviewer)
    with django_assert_max_num_queries(11):
        assert len(api.rows("predictionLogs?limit=200")) == 200
    with django_assert_max_num_queries(10):
        assert len(api.rows("requestLogs?limit=200&includeRawBody=true")) == 4
    assert RequestRecord.objects.count() == 4


def test_the_schema_names_the_log(workspace: Workspace, reviewer: User, client_for: Any) -> None:
    text = client_for(reviewer).get("/api/schema/").content.decode()
    assert "/workspaces/{workspace}/deployments/{deployment}/predictionLogs" in text
    assert "predictionClass" in text

"""The API of feedback: who may, the official client's shapes and codes, and bad input."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments.models import Deployment
from apps.feedback.models import Actual, Evaluation
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.feedback.conftest import Caller
from tests.predictions.factories import prediction_of

# What the official client's Evaluation model cannot do without.
EVALUATION = {"id": str, "agree": bool, "createdAt": str, "updatedAt": str}
HTML = "<script>alert(1)</script>"


def token(deployment: Deployment, by: User, *scopes: str) -> str:
    return accounts.issue_token(
        workspace=deployment.workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name="Portal",
        scopes=list(scopes),
        by=by,
    )[1]


@pytest.fixture
def caller(deployment: Deployment, reviewer: User) -> Caller:
    return Caller(deployment, user=reviewer)


@pytest.fixture
def program(deployment: Deployment, operator: User) -> Caller:
    return Caller(deployment, token=token(deployment, operator, "evaluate", "actuals"))


# Evaluations


def test_the_clients_body_is_kept_and_answered_in_its_shape(
    caller: Caller, record: PredictionRecord
) -> None:
    desired = {"predictions": ["good"]}
    status, body = caller.evaluate(record, agree=False, desiredOutput=desired, comment="No")
    assert status == 201
    assert all(isinstance(body[key], kind) for key, kind in EVALUATION.items())
    assert (body["agree"], body["comment"], body["desiredOutput"]) == (False, "No", "good")
    assert (body["author"]["kind"], body["tokenId"]) == ("user", None)
    assert body["personalKeysId"] is not None


def test_a_second_evaluation_by_the_same_author_conflicts(
    caller: Caller, program: Caller, record: PredictionRecord
) -> None:
    given = {"agree": True, "desiredOutput": None, "comment": None}
    assert caller.evaluate(record, **given)[0] == 201
    assert caller.evaluate(record, **given)[0] == 409
    status, body = program.evaluate(record, **given)
    assert (status, body["author"]["kind"], body["author"]["name"]) == (201, "token", "Portal")


def test_two_key_pairs_of_a_person_are_one_author(
    caller: Caller, deployment: Deployment, reviewer: User, record: PredictionRecord
) -> None:
    assert caller.evaluate(record, agree=True)[0] == 201
    assert Caller(deployment, user=reviewer).evaluate(record, agree=True)[0] == 409


def test_a_signed_in_person_evaluates_without_a_key_pair(
    client_for: Any, reviewer: User, record: PredictionRecord, caller: Caller
) -> None:
    path = f"{caller.base}predictionLogs/{record.id}/evaluatePrediction"
    client = client_for(reviewer)
    answer = client.post(path, {"verdict": "unsure"}, content_type="application/json")
    assert (answer.status_code, answer.json()["agree"]) == (201, None)
    assert answer.json()["personalKeysId"] is None


def test_an_author_reads_corrects_and_withdraws(caller: Caller, record: PredictionRecord) -> None:
    own = f"predictionLogs/{record.id}/evaluation"
    assert caller.call("GET", own)[0] == 404
    caller.evaluate(record, agree=False, desiredOutput={"predictions": [0]}, comment="No")
    assert caller.call("GET", own)[1]["agree"] is False
    status, body = caller.call("PATCH", own, {"comment": "Still no"})
    assert (status, body["agree"], body["comment"]) == (200, False, "Still no")
    assert body["desiredClass"] == "good"
    status, body = caller.call("PATCH", own, {"agree": True, "desiredOutput": None})
    assert (body["verdict"], body["desiredOutput"]) == ("agree", None)
    assert caller.call("DELETE", own)[1]["verdict"] == "withdrawn"
    assert caller.call("GET", own)[0] == 404
    rows = caller.call("GET", f"predictionLogs/{record.id}/evaluations")[1]
    assert [row["verdict"] for row in rows] == ["disagree", "disagree", "agree", "withdrawn"]
    assert [row["current"] for row in rows] == [False, False, False, True]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Say true or false"),
        ({"agree": None}, "Say true or false"),
        ({"agree": True, "verdict": "disagree"}, "give one"),
        ({"agree": "maybe"}, "agree"),
        ({"verdict": "fine"}, "verdict"),
        ({"agree": False, "desiredOutput": {"predictions": ["ugly"]}}, "its classes are good, bad"),
        ({"agree": False, "desiredOutput": {"predictions": [1, 2]}}, "not 2"),
        ({"agree": True, "comment": "x" * 1024**2}, "10000 characters"),
        ({"agree": True, "comment": "a\x00b"}, "comment: Null characters"),
        ({"agree": True, "seen": {"mode": "asleep"}}, "seen.mode"),
        ({"agree": True, "spentMs": "long"}, "spentMs"),
        ([1], "dictionary"),
    ],
)
def test_a_bad_evaluation_is_refused_in_words(
    caller: Caller, record: PredictionRecord, body: Any, words: str
) -> None:
    path = f"predictionLogs/{record.id}/evaluatePrediction"
    status, answer = caller.call("POST", path, body)
    assert status == 400
    assert words in answer["message"]
    assert not Evaluation.objects.exists()


def test_html_in_a_comment_is_text(caller: Caller, record: PredictionRecord) -> None:
    assert caller.evaluate(record, agree=True, comment=HTML)[1]["comment"] == HTML


def test_an_erased_prediction_is_gone(
    caller: Caller, record: PredictionRecord, operator: User
) -> None:
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=operator.actor, now=timezone.now()
    )
    status, body = caller.evaluate(record, agree=True)
    assert (status, "was erased" in body["message"]) == (410, True)


def test_an_oversized_body_is_refused_with_the_limit(
    caller: Caller, record: PredictionRecord, settings: Any
) -> None:
    settings.PREDICT_MAX_BODY_BYTES = 1000
    status, body = caller.evaluate(record, agree=True, comment="x" * 2000)
    assert (status, "1,000 bytes" in body["message"]) == (413, True)


# Who may


PATHS = [
    ("POST", "predictionLogs/{id}/evaluatePrediction", {"agree": True}),
    ("PATCH", "predictionLogs/{id}/evaluation", {"agree": True}),
    ("DELETE", "predictionLogs/{id}/evaluation", None),
    ("PUT", "actuals", {"predictionIds": [], "actualValues": []}),
    ("GET", "predictionLogs/{id}/evaluation", None),
    ("GET", "predictionLogs/{id}/evaluations", None),
    ("GET", "predictionLogs/{id}/actuals", None),
]


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
def test_outsiders_meet_nothing_and_auditors_only_read(
    deployment: Deployment,
    record: PredictionRecord,
    outsider: User,
    auditor: User,
    method: str,
    path: str,
    body: Any,
) -> None:
    path = path.format(id=record.id)
    assert Caller(deployment, user=outsider).call(method, path, body)[0] == 404
    status = Caller(deployment, user=auditor).call(method, path, body)[0]
    assert status in ((200, 404) if method == "GET" else (403,))
    assert Caller(deployment).call(method, path, body)[0] == 401


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("evaluate", (201, 403)), ("actuals", (403, 200)), ("predict", (403,) * 2)],
)
def test_a_token_does_what_its_scopes_say(
    deployment: Deployment,
    record: PredictionRecord,
    operator: User,
    scope: str,
    statuses: tuple[int, int],
) -> None:
    program = Caller(deployment, token=token(deployment, operator, scope))
    actuals = {"predictionIds": [str(record.id)], "actualValues": [{"predictions": [1]}]}
    assert (program.evaluate(record, agree=True)[0], program.actuals(**actuals)[0]) == statuses


def test_predictions_of_other_deployments_are_unknown(
    caller: Caller, record: PredictionRecord
) -> None:
    unknown = caller.call("POST", f"predictionLogs/{uuid4()}/evaluatePrediction", {"agree": True})
    assert unknown[0] == 404


def test_other_methods_are_refused(caller: Caller, record: PredictionRecord) -> None:
    assert caller.call("GET", f"predictionLogs/{record.id}/evaluatePrediction")[0] == 405
    assert caller.call("POST", "actuals", {})[0] == 405


# Actuals


def test_actuals_are_answered_row_by_row(program: Caller, record: PredictionRecord) -> None:
    unknown = str(uuid4())
    status, rows = program.actuals(
        predictionIds=[str(record.id), unknown, "x"],
        actualValues=[{"predictions": [True]}, {"predictions": [True]}, {"predictions": [True]}],
    )
    assert status == 200
    assert [(row["predictionLogId"], row["status"]) for row in rows] == [
        (str(record.id), 200),
        (unknown, 404),
        ("x", 400),
    ]
    assert all(isinstance(row["message"], str) for row in rows)
    history = program.call("GET", f"predictionLogs/{record.id}/actuals")[1]
    assert [row["actualValue"] for row in history] == [{"predictions": [True]}]
    assert history[0]["actualClass"] == "bad"


def test_actuals_by_custom_id(program: Caller, record: PredictionRecord) -> None:
    status, rows = program.actuals(customIds=["A-1", None], actualValues=["good", "good"])
    assert (status, [row["result"] for row in rows]) == (200, ["recorded", "invalid"])
    assert (rows[0]["customId"], rows[0]["predictionLogId"]) == ("A-1", str(record.id))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"actualValues": [1]}, 400, "predictionIds or customIds"),
        ({"actualValues": [1], "predictionIds": ["x"], "customIds": ["x"]}, 400, "one of them"),
        ({"actualValues": [1], "predictionIds": []}, 400, "There are 0 of them and 1"),
        ({"actualValues": [], "predictionIds": []}, 400, "at least one"),
        ({"actualValues": "x", "predictionIds": []}, 400, "list"),
        ({"actualValues": [1] * 100_000, "customIds": ["A"] * 100_000}, 413, "at most 10,000"),
    ],
)
def test_a_bad_batch_is_refused_in_words(
    program: Caller, body: Any, status: int, words: str
) -> None:
    got, answer = program.actuals(**body)
    assert (got, words in answer["message"]) == (status, True), answer["message"]
    assert not Actual.objects.exists()


# Beside the log


@pytest.fixture
def log(deployment: Deployment, caller: Caller, program: Caller) -> dict[str, str]:
    """Five predictions of bad by what is said of them; their ids."""
    records = [prediction_of(deployment) for _ in range(5)]
    both, wrong, unsure, withdrawn, _ = records
    caller.evaluate(both, agree=True)
    program.evaluate(both, agree=False)
    caller.evaluate(wrong, agree=False)
    caller.evaluate(unsure, verdict="unsure")
    caller.evaluate(withdrawn, agree=True)
    caller.call("DELETE", f"predictionLogs/{withdrawn.id}/evaluation")
    program.actuals(predictionIds=[str(both.id), str(wrong.id)], actualValues=["good", "good"])
    program.actuals(predictionIds=[str(both.id)], actualValues=["bad"])
    names = ("both", "wrong", "unsure", "withdrawn", "plain")
    return dict(zip(map(str, (record.id for record in records)), names, strict=True))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("evaluation=eq:agreed", ["both"]),
        ("evaluation=disagreed", ["wrong", "both"]),
        ("evaluation=in:agreed,unsure", ["unsure", "both"]),
        ("evaluation=eq:available", ["unsure", "wrong", "both"]),
        ("evaluation=eq:unavailable", ["plain", "withdrawn"]),
        ("actual=eq:available", ["wrong", "both"]),
        ("actual=eq:unavailable&limit=2", ["plain", "withdrawn"]),
        ("actual=eq:matches", ["both"]),
        ("actual=eq:differs", ["wrong"]),
        ("actual=eq:available&evaluation=eq:agreed&status=eq:success", ["both"]),
        ("evaluation=eq:available&actual=eq:differs&limit=1", ["wrong"]),
        ("evaluation=eq:available&sort=id:asc&limit=2", ["both", "wrong"]),
        ("evaluation=eq:available&sort=id:asc&limit=2&offset=1", ["unsure"]),
        ("evaluation=in:agreed,unavailable", ["plain", "withdrawn", "both"]),
        ("actual=in:matches,differs", ["wrong", "both"]),
    ],
)
def test_the_log_is_filtered_by_feedback(
    log: dict[str, str], caller: Caller, query: str, names: list[str]
) -> None:
    status, rows = caller.call("GET", f"predictionLogs?{query}")
    assert (status, [log[row["id"]] for row in rows]) == (200, names)


def test_the_log_carries_the_newest_evaluation_and_the_actual(
    log: dict[str, str], caller: Caller
) -> None:
    rows = {log[row["id"]]: row for row in caller.call("GET", "predictionLogs")[1]}
    both = rows["both"]
    assert (both["evaluation"]["agree"], both["evaluationCount"]) == (False, 2)
    assert both["actual"]["actualValue"] == {"predictions": ["bad"]}
    assert (rows["plain"]["evaluation"], rows["plain"]["actual"]) == (None, None)
    assert rows["withdrawn"]["evaluation"] is None
    one = caller.call("GET", f"predictionLogs/{both['id']}")[1]
    assert one["evaluation"] == both["evaluation"]


@pytest.mark.parametrize("query", ["evaluation=eq:loved", "actual=like:available"])
def test_other_filters_are_refused_with_those_there_are(caller: Caller, query: str) -> None:
    status, body = caller.call("GET", f"predictionLogs?{query}")
    assert (status, "eq:available" in body["message"]) == (400, True)


def test_the_log_costs_the_same_queries_whatever_is_said(
    deployment: Deployment, caller: Caller
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert caller.call("GET", "predictionLogs?limit=50")[0] == 200
        return len(seen)

    caller.evaluate(prediction_of(deployment), agree=True)
    queries()
    before = queries()
    for _ in range(4):
        caller.evaluate(prediction_of(deployment), agree=True)
    assert queries() == before


def test_the_schema_names_the_paths(client: Client, db: None) -> None:
    text = client.get("/api/schema/").content.decode()
    for path in ("evaluatePrediction", "/evaluations:", "/actuals:", "desiredOutput"):
        assert path in text


def test_a_workspace_of_others_is_unknown(
    caller: Caller, record: PredictionRecord, other_workspace: Workspace
) -> None:
    caller.base = caller.base.replace(str(record.deployment.workspace_id), str(other_workspace.id))
    assert caller.evaluate(record, agree=True)[0] == 404

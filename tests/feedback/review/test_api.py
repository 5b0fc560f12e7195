"""The API of review queues: who may, the whole way of a case, and bad input."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import Event
from apps.deployments.models import Deployment
from apps.feedback.models import Claim, Evaluation, ReviewCase, ReviewQueue
from apps.predictions.models import PredictionRecord
from tests.feedback.conftest import Caller
from tests.feedback.review.conftest import BAD, claim, make_queue, take_in
from tests.feedback.test_api import token
from tests.predictions.factories import CASE, prediction_of, write_request

SETTINGS = {"name": "Doubtful", "rules": BAD, "auditProbability": 0.05, "alpha": 0.1}


@pytest.fixture
def caller(deployment: Deployment, reviewer: User) -> Caller:
    return Caller(deployment, user=reviewer)


@pytest.fixture
def manager(deployment: Deployment, operator: User) -> Caller:
    return Caller(deployment, user=operator)


def path(queue: ReviewQueue, rest: str = "") -> str:
    return f"reviewQueues/{queue.id}{rest}"


# Queues


def test_a_queue_is_made_changed_and_closed(manager: Caller, caller: Caller) -> None:
    status, made = manager.call("POST", "reviewQueues", SETTINGS)
    assert status == 201
    assert (made["name"], made["open"], made["alpha"], made["mode"]) == (
        "Doubtful",
        True,
        0.1,
        "assisted",
    )
    assert "key" not in made
    where = f"reviewQueues/{made['id']}"
    status, changed = manager.call("PATCH", where, {"mode": "blind"})
    assert (status, changed["mode"], changed["rules"]) == (200, "blind", BAD)
    assert manager.call("POST", f"{where}/close")[1]["open"] is False
    assert manager.call("POST", f"{where}/close")[0] == 409
    assert manager.call("POST", f"{where}/open")[1]["open"] is True
    [listed] = caller.call("GET", "reviewQueues")[1]
    assert (listed["id"], listed["progress"]["waiting"]) == (made["id"], 0)
    names = Event.objects.filter(object_type="review_queue").order_by("number")
    assert list(names.values_list("name", flat=True)) == [
        "review_queue.created",
        "review_queue.changed",
        "review_queue.closed",
        "review_queue.opened",
    ]


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({}, "name", "name of at most 80"),
        ({"name": "x" * 81}, "name", "80"),
        ({"name": "a\x00b"}, "name", "Null characters"),
        ({"mode": "asleep"}, "mode", "assisted, blind"),
        ({"auditProbability": 1.1}, "auditProbability", "between 0 and 1"),
        ({"auditProbability": None}, "auditProbability", "null"),
        ({"doubleShare": "half"}, "doubleShare", "between 0 and 1"),
        ({"knownWrongShare": -1}, "knownWrongShare", "between 0 and 1"),
        ({"alpha": 0}, "alpha", "above 0 and below 1"),
        ({"alpha": True}, "alpha", "above 0 and below 1"),
        ({"novelty": 0.99}, "novelty", "no reference data"),
        ({"novelty": 2}, "novelty", "percentile"),
        ({"turnsAt": "soon"}, "turnsAt", "number"),
        ({"claimMinutes": 0}, "claimMinutes", "1 to 240"),
        ({"claimMinutes": 1.5}, "claimMinutes", "whole minutes"),
        ({"rules": {}}, "rules", "list"),
        ({"rules": [1]}, "rules[0]", "object"),
        ({"rules": [{"kind": "moon"}]}, "rules[0].kind", "one of class"),
        ({"rules": [{"kind": ["class"]}]}, "rules[0].kind", "one of class"),
        ({"rules": [{"kind": "class"}]}, "rules[0].classes", "at least one"),
        (
            {"rules": [*BAD, {"kind": "class", "classes": ["ugly"]}]},
            "rules[1].classes",
            "good, bad",
        ),
        ({"rules": [{"kind": "class", "classes": ["a\x00"]}]}, "rules[0].classes", "Unicode"),
        ({"rules": [{"kind": "confidence", "below": 7}]}, "rules[0].below", "at most 1"),
        ({"rules": [{"kind": "output", "least": 1}]}, "rules[0].kind", "predicts classes"),
        ({"rules": [{"kind": "amount", "feature": "height"}]}, "rules[0].feature", "age, city"),
        ({"rules": [{"kind": "amount", "feature": "city"}]}, "rules[0].feature", "no number"),
        ({"rules": [{"kind": "amount", "feature": "age"}]}, "rules[0].least", "or both"),
        (
            {"rules": [{"kind": "amount", "feature": "age", "least": 9, "most": 1}]},
            "rules[0].most",
            "smaller",
        ),
        (
            {"rules": [{"kind": "amount", "feature": "age", "most": "old"}]},
            "rules[0].most",
            "no number",
        ),
        (
            {"rules": [{"kind": "group", "feature": "city", "values": ["Rome"]}]},
            "rules[0].values",
            "never Rome",
        ),
        (
            {"rules": [{"kind": "group", "feature": [], "values": [1]}]},
            "rules[0].feature",
            "no feature",
        ),
        ({"rules": [{"kind": "range", "features": ["x"]}]}, "rules[0].features", "no feature"),
        ({"rules": BAD * 21}, "rules", "at most 20"),
        ({"reasons": "mood"}, "reasons", "list"),
        ({"reasons": [{"key": "A B", "text": "x"}]}, "reasons[0].key", "small letters"),
        ({"reasons": [{"key": "a", "text": ""}]}, "reasons[0].text", "text"),
        ({"reasons": [{"key": "a", "text": "x"}] * 2}, "reasons[1].key", "twice"),
        ({"reasons": [{"key": f"r{n}", "text": "x"} for n in range(10)]}, "reasons", "at most 9"),
        ({"colour": "red"}, "colour", "no such field"),
    ],
)
def test_a_bad_queue_is_refused_in_words(
    manager: Caller, given: dict[str, Any], field: str, words: str
) -> None:
    body = {"name": "Queue"} | given if given else {}
    status, answer = manager.call("POST", "reviewQueues", body)
    assert status == 400, answer
    [found] = [each for each in answer["errors"] if each["field"] == field]
    assert words in found["message"]
    assert not ReviewQueue.objects.exists()


def test_all_faults_are_named_at_once(manager: Caller) -> None:
    body = {"name": "", "mode": "x", "alpha": 2, "rules": [1]}
    errors = manager.call("POST", "reviewQueues", body)[1]["errors"]
    assert {each["field"] for each in errors} == {"name", "mode", "alpha", "rules[0]"}


def test_a_name_in_use_conflicts(manager: Caller, queue: ReviewQueue) -> None:
    status, body = manager.call("POST", "reviewQueues", {"name": queue.name})
    assert (status, queue.name in body["message"]) == (409, True)


def test_a_preview_keeps_nothing(manager: Caller, deployment: Deployment) -> None:
    write_request(deployment, [CASE] * 10)
    prediction_of(deployment, p_bad=0.1)
    body = {"rules": BAD, "auditProbability": 0.5}
    status, found = manager.call("POST", "reviewQueues/preview", body)
    assert status == 200
    assert found == {"looked": 11, "certain": 10, "expected": 10.5, "byCause": {"class": 10}}
    assert not ReviewQueue.objects.exists()


# The way of a case


def test_a_case_is_judged_through_the_api(
    caller: Caller, queue: ReviewQueue, waiting: PredictionRecord
) -> None:
    status, held = caller.call("POST", path(queue, "/next"))
    assert status == 200
    assert (held["predictionLogId"], held["input"], held["customId"]) == (
        str(waiting.id),
        CASE,
        "A-1",
    )
    assert held["prediction"]["outcome"] == "bad"
    assert held["causes"] == [{"kind": "class", "words": "The model says bad"}]
    where = path(queue, f"/cases/{held['id']}")
    assert caller.call("PATCH", where, {"comment": "Inc"})[1]["draft"] == {"comment": "Inc"}
    assert caller.call("GET", where)[1]["draft"] == {"comment": "Inc"}
    body = {"verdict": "disagree", "desiredOutput": {"predictions": ["good"]}, "spentMs": 4000}
    status, ended = caller.call("POST", f"{where}/answer", body)
    assert (status, ended["state"], ended["verdict"]) == (200, "answered", "disagree")
    assert str(Evaluation.objects.get().id) == ended["evaluationId"]
    assert caller.call("POST", path(queue, "/next"))[0] == 204
    assert caller.call("POST", f"{where}/undo")[1]["state"] == "held"
    assert caller.call("POST", f"{where}/skip", {"spentMs": 10})[1]["state"] == "skipped"


def test_the_next_case_is_loaded_ahead(
    caller: Caller, queue: ReviewQueue, deployment: Deployment
) -> None:
    write_request(deployment, [CASE] * 2)
    take_in(queue)
    first = caller.call("POST", path(queue, "/next"))[1]
    second = caller.call("POST", path(queue, "/next"), {"after": first["id"]})[1]
    assert first["caseId"] != second["caseId"]
    released = caller.call("POST", path(queue, f"/cases/{second['id']}/release"))[1]
    assert released["state"] == "released"


def test_a_blind_queue_keeps_the_output_back(
    caller: Caller, deployment: Deployment, operator: User
) -> None:
    queue = make_queue(deployment, operator, mode="blind")
    prediction_of(deployment)
    take_in(queue)
    held = caller.call("POST", path(queue, "/next"))[1]
    assert (held["prediction"], held["causes"]) == (None, [])
    assert "bad" not in str(held)
    where = path(queue, f"/cases/{held['id']}")
    assert caller.call("POST", f"{where}/answer", {"verdict": "agree"})[0] == 409
    assert caller.call("POST", f"{where}/reveal", {"firstAnswer": "ugly"})[0] == 400
    revealed = caller.call("POST", f"{where}/reveal", {"firstAnswer": "good"})[1]
    assert revealed["prediction"]["outcome"] == "bad"
    assert caller.call("POST", f"{where}/answer", {"verdict": "disagree"})[0] == 200


@pytest.mark.parametrize(
    ("act", "body", "words"),
    [
        ("/answer", {}, "verdict"),
        ("/answer", {"verdict": "fine"}, "verdict"),
        ("/answer", {"verdict": "agree", "comment": "x" * 1024**2}, "10000"),
        ("/answer", {"verdict": "agree", "desiredOutput": "ugly"}, "its classes are"),
        ("/answer", {"verdict": "agree", "reason": "mood"}, "Choose one of wrong-input"),
        ("/answer", {"verdict": "agree", "spentMs": -5}, "time spent"),
        ("/answer", {"verdict": "agree", "explanations": ["x"]}, "explanations"),
        ("/skip", {"spentMs": "x"}, "spentMs"),
        ("/reveal", {}, "firstAnswer"),
    ],
)
def test_a_bad_answer_is_refused_in_words(
    caller: Caller,
    queue: ReviewQueue,
    waiting: PredictionRecord,
    act: str,
    body: Any,
    words: str,
) -> None:
    held = caller.call("POST", path(queue, "/next"))[1]
    status, answer = caller.call("POST", path(queue, f"/cases/{held['id']}{act}"), body)
    assert (status, words in answer["message"]) == (400, True), answer
    assert Claim.objects.get().state == "held"


@pytest.mark.parametrize("body", [[1], {"other": 1}, {"comment": "\ud83d"}, {"comment": "a\x00"}])
def test_a_bad_draft_is_refused_in_words(
    caller: Caller, queue: ReviewQueue, waiting: PredictionRecord, body: Any
) -> None:
    held = caller.call("POST", path(queue, "/next"))[1]
    status, answer = caller.call("PATCH", path(queue, f"/cases/{held['id']}"), body)
    assert (status, "draft" in answer["message"]) == (400, True)


# Asking


def test_a_token_asks_for_a_review_by_custom_id(
    deployment: Deployment, operator: User, queue: ReviewQueue
) -> None:
    record = prediction_of(deployment, custom_ids=["A-1"], p_bad=0.1)
    program = Caller(deployment, token=token(deployment, operator, "evaluate"))
    body = {"customId": "A-1", "reason": "I do earn that"}
    status, case = program.call("POST", "reviewRequests", body)
    assert (status, case["predictionLogId"], case["state"]) == (201, str(record.id), "waiting")
    [cause] = ReviewCase.objects.get().causes
    assert (cause["kind"], cause["words"], cause["by"]) == ("request", "I do earn that", "Portal")
    event = Event.objects.get(name="review.asked")
    assert "earn" not in (event.data or "")
    assert program.call("POST", "reviewRequests", body)[0] == 409


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"reason": "x"}, 400, "predictionId or customId"),
        ({"customId": "A-1", "predictionId": str(uuid4()), "reason": "x"}, 400, "one of them"),
        ({"customId": "A-1"}, 400, "reason"),
        ({"customId": "A-1", "reason": " "}, 400, "Say why"),
        ({"customId": "A-1", "reason": "x" * 2_001}, 400, "2,000"),
        ({"customId": "A-1", "reason": "a\x00"}, 400, "Null"),
        ({"customId": "B-9", "reason": "x"}, 404, "custom id"),
        ({"predictionId": str(uuid4()), "reason": "x"}, 404, "no such prediction"),
        ({"predictionId": "x", "reason": "x"}, 400, "predictionId"),
        ({"customId": "A-1", "reason": "x", "queueId": str(uuid4())}, 400, "no such review queue"),
    ],
)
def test_a_bad_request_is_refused_in_words(
    caller: Caller, waiting: PredictionRecord, body: Any, status: int, words: str
) -> None:
    got, answer = caller.call("POST", "reviewRequests", body)
    assert (got, words in answer["message"]) == (status, True), answer


def test_without_an_open_queue_nobody_can_be_asked(
    caller: Caller, record: PredictionRecord
) -> None:
    body = {"customId": "A-1", "reason": "x"}
    status, answer = caller.call("POST", "reviewRequests", body)
    assert (status, "operator" in answer["message"]) == (409, True)


# Who may


PEOPLE = [
    ("GET", "reviewQueues", 200),
    ("POST", "reviewQueues", 403),
    ("POST", "reviewQueues/preview", 403),
    ("GET", "reviewQueues/{queue}", 200),
    ("PATCH", "reviewQueues/{queue}", 403),
    ("POST", "reviewQueues/{queue}/open", 403),
    ("POST", "reviewQueues/{queue}/close", 403),
    ("POST", "reviewQueues/{queue}/next", 403),
    ("GET", "reviewQueues/{queue}/cases/{claim}", 403),
    ("PATCH", "reviewQueues/{queue}/cases/{claim}", 403),
    ("POST", "reviewQueues/{queue}/cases/{claim}/reveal", 403),
    ("POST", "reviewQueues/{queue}/cases/{claim}/answer", 403),
    ("POST", "reviewQueues/{queue}/cases/{claim}/skip", 403),
    ("POST", "reviewQueues/{queue}/cases/{claim}/release", 403),
    ("POST", "reviewQueues/{queue}/cases/{claim}/undo", 403),
    ("POST", "reviewRequests", 403),
]


@pytest.mark.parametrize(("method", "where", "of_auditor"), PEOPLE)
def test_outsiders_meet_nothing_auditors_read_and_tokens_do_not_judge(
    deployment: Deployment,
    queue: ReviewQueue,
    waiting: PredictionRecord,
    reviewer: User,
    outsider: User,
    auditor: User,
    operator: User,
    method: str,
    where: str,
    of_auditor: int,
) -> None:
    where = where.format(queue=queue.id, claim=claim(queue, reviewer).id)
    body = None if method == "GET" else {}
    assert Caller(deployment, user=outsider).call(method, where, body)[0] == 404
    assert Caller(deployment).call(method, where, body)[0] == 401
    assert Caller(deployment, user=auditor).call(method, where, body)[0] == of_auditor
    program = Caller(deployment, token=token(deployment, operator, "predict"))
    assert program.call(method, where, body)[0] == 403


def test_a_reviewer_sets_nothing_up(caller: Caller, queue: ReviewQueue) -> None:
    assert caller.call("POST", "reviewQueues", SETTINGS)[0] == 403
    assert caller.call("PATCH", path(queue), {"name": "Mine"})[0] == 403
    assert caller.call("POST", path(queue, "/close"))[0] == 403


def test_a_claim_of_somebody_else_is_like_none(
    caller: Caller, queue: ReviewQueue, waiting: PredictionRecord, operator: User
) -> None:
    held = claim(queue, operator)
    for act in ("", "/answer", "/undo", "/release"):
        method = "POST" if act else "GET"
        body = {"verdict": "agree"} if act else None
        assert caller.call(method, path(queue, f"/cases/{held.id}{act}"), body)[0] == 404


def test_a_queue_of_another_deployment_is_like_none(caller: Caller) -> None:
    assert caller.call("GET", f"reviewQueues/{uuid4()}")[0] == 404


def test_the_schema_names_the_paths(client: Client, db: None) -> None:
    text = client.get("/api/schema/").content.decode()
    for each in ("/reviewQueues:", "/reviewRequests:", "/answer:", "/undo:", "auditProbability"):
        assert each in text

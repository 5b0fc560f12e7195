"""Feedback on the page of a prediction and in the list: whom it admits, and what it keeps."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.actor import SYSTEM
from apps.deployments.models import Deployment
from apps.feedback import services
from apps.feedback.authors import Author
from apps.feedback.forms import value_field
from apps.feedback.models import Actual, Evaluation
from apps.feedback.services import Given, Judgement
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.predictions.factories import prediction_of

HTMX = {"HX-Request": "true"}
HTML = "<script>alert(1)</script>"
LIST = "/w/retail-credit/deployments/credit-risk/predictions/"
UNKNOWN = "0199a3f0-0000-7000-8000-000000000000"
ACTS = {"evaluate": {"verdict": "agree"}, "withdraw": {}, "actual": {"actual": "bad"}}


@pytest.fixture
def client(reviewer: User, client_for: Any) -> Client:
    return client_for(reviewer)


def panel(record: PredictionRecord, rest: str = "") -> str:
    return f"/w/retail-credit/predictions/{record.id}/feedback/{rest}"


def text(client: Client, path: str, **given: Any) -> str:
    answer = client.get(path, **given)
    assert answer.status_code == 200
    return answer.content.decode()


def evaluate(record: PredictionRecord, by: Author, verdict: str = "disagree", **more: Any) -> None:
    services.evaluate_prediction(
        prediction=record, judgement=Judgement(verdict, **more), by=by, now=timezone.now()
    )


def turn_out(record: PredictionRecord, by: Author, value: str) -> None:
    services.record_actuals(
        deployment=record.deployment,
        rows=[Given(value, prediction_id=record.id)],
        by=by,
        now=timezone.now(),
    )


# Who may


def test_only_members_see_feedback(
    record: PredictionRecord, client_for: Any, auditor: User, outsider: User
) -> None:
    assert client_for(auditor).get(panel(record)).status_code == 200
    assert client_for(outsider).get(panel(record)).status_code == 404
    assert "/login/" in Client().get(panel(record))["Location"]
    assert client_for(auditor).post(panel(record)).status_code == 405


@pytest.mark.parametrize("act", ACTS)
def test_who_only_reads_says_nothing(
    record: PredictionRecord, act: str, client_for: Any, auditor: User, outsider: User
) -> None:
    path = panel(record, f"{act}/")
    assert client_for(auditor).post(path, ACTS[act]).status_code == 403
    assert client_for(outsider).post(path, ACTS[act]).status_code == 404
    assert Client().post(path, ACTS[act]).status_code == 302
    assert client_for(auditor).get(path).status_code == 405
    assert not Evaluation.objects.exists()
    assert "<form" not in text(client_for(auditor), panel(record), headers=HTMX)


def test_a_prediction_that_is_not_there_is_not_found(client: Client, deployment: Any) -> None:
    path = f"/w/retail-credit/predictions/{UNKNOWN}/feedback/"
    assert client.get(path).status_code == 404
    assert client.post(f"{path}evaluate/", ACTS["evaluate"]).status_code == 404


# The panel


def test_the_prediction_asks_for_its_feedback(client: Client, record: PredictionRecord) -> None:
    page = text(client, f"/w/retail-credit/predictions/{record.id}/")
    assert f'hx-get="{panel(record)}"' in page


def test_a_part_for_the_page_and_a_page_of_its_own(
    client: Client, record: PredictionRecord
) -> None:
    part, page = text(client, panel(record), headers=HTMX), text(client, panel(record))
    assert ("<html" in part, "<html" in page) == (False, True)
    assert "What people say of it" in part


def test_it_says_who_said_what_having_seen_what(
    client: Client, record: PredictionRecord, other_author: Author
) -> None:
    seen = {"mode": "assisted", "explanations": [{"name": "shap", "id": "recorded-0"}]}
    evaluate(record, other_author, desired_output="good", comment=HTML, seen=seen, spent_ms=5200)
    turn_out(record, other_author, "good")
    turn_out(record, other_author, "bad")
    part = text(client, panel(record), headers=HTMX)
    for words in (
        "Disagrees",
        "Operator",
        "It should be <b>good</b>",
        "having seen the prediction and shap",
        "5.2\u00a0s",
        "as predicted",
        "1 earlier report",
        "&lt;script&gt;",
    ):
        assert words in part, words
    assert HTML not in part


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_evaluation_is_given_corrected_and_withdrawn(
    client: Client, record: PredictionRecord, headers: dict[str, str]
) -> None:
    expected = 200 if headers else 302
    disagrees = {"verdict": "disagree", "desired": "good", "comment": "No"}
    first = client.post(panel(record, "evaluate/"), disagrees, headers=headers)
    second = client.post(panel(record, "evaluate/"), {"verdict": "agree"}, headers=headers)
    part = text(client, panel(record), headers=HTMX)
    assert "1 earlier answer" in part
    assert "Change what you said" in part
    third = client.post(panel(record, "withdraw/"), headers=headers)
    assert [each.status_code for each in (first, second, third)] == [expected] * 3
    verdicts = [entry.verdict for entry in Evaluation.objects.order_by("id")]
    assert verdicts == ["disagree", "agree", "withdrawn"]
    first_entry = Evaluation.objects.earliest("id")
    assert (first_entry.desired_outcome, first_entry.comment) == ("good", "No")


def test_it_is_kept_which_explanations_stood_beside_the_form(
    client: Client, record: PredictionRecord
) -> None:
    told = json.dumps([{"name": "shap", "method": "shap.tree"}])
    PredictionRecord.objects.filter(id=record.id).update(explanations=told)
    form = client.get(panel(record), headers=HTMX).context["form"]
    given = {name: form.initial[name] for name in ("opened", "shown")} | {"verdict": "agree"}
    client.post(panel(record, "evaluate/"), given, headers=HTMX)
    made = Evaluation.objects.get()
    shown = [{"name": "shap", "id": "recorded-0"}]
    assert made.seen_value == {"mode": "assisted", "explanations": shown}
    assert 0 <= (made.spent_ms or -1) < 60_000
    assert client.get(panel(record)).context["form"].initial["shown"] == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"comment": "Kept words"}, "This field is required"),
        ({"verdict": "agree", "comment": f"Kept words{'x' * 10_000}"}, "at most 10000 characters"),
        ({"verdict": "disagree", "desired": "ugly", "comment": "Kept words"}, "ugly is not one"),
    ],
)
def test_a_bad_evaluation_keeps_what_was_typed(
    client: Client, record: PredictionRecord, given: dict[str, str], words: str
) -> None:
    plain = client.post(panel(record, "evaluate/"), given)
    part = client.post(panel(record, "evaluate/"), given, headers=HTMX)
    assert (plain.status_code, part.status_code) == (400, 200)
    for answer in (plain, part):
        assert words in answer.content.decode()
        assert "Kept words" in answer.content.decode()
    assert not Evaluation.objects.exists()


def test_a_forged_time_is_no_time(client: Client, record: PredictionRecord) -> None:
    client.post(panel(record, "evaluate/"), {"verdict": "agree", "opened": "1", "shown": "x"})
    assert Evaluation.objects.get().spent_ms is None


def test_an_actual_is_said_and_corrected(client: Client, record: PredictionRecord) -> None:
    for value in ("good", "good", "bad"):
        answer = client.post(panel(record, "actual/"), {"actual": value}, headers=HTMX)
        assert answer.status_code == 200
    assert "as predicted" in answer.content.decode()
    assert Actual.objects.count() == 2
    wrong = client.post(panel(record, "actual/"), {"actual": "ugly"})
    assert (wrong.status_code, "ugly is not one" in wrong.content.decode()) == (400, True)


def test_an_erased_prediction_has_no_form(client: Client, record: PredictionRecord) -> None:
    author = Author("system", "", "Deeploy")
    evaluate(record, author, comment="Secret")
    turn_out(record, author, "good")
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=SYSTEM, now=timezone.now()
    )
    part = text(client, panel(record), headers=HTMX)
    assert ("<form" in part, "Secret" in part, "Erased" in part) == (False, False, True)
    answer = client.post(panel(record, "evaluate/"), {"verdict": "agree"})
    assert (answer.status_code, "was erased" in answer.content.decode()) == (410, True)


@pytest.mark.parametrize(
    ("metadata", "output", "kind"),
    [
        ({"problemType": "regression"}, 1.5, "FloatField"),
        ({"problemType": "regression"}, [1.5, 2.5], "CharField"),
        ({"predictionClasses": {"good": 0}}, [0.1], "ChoiceField"),
        ({}, "text", "CharField"),
    ],
)
def test_the_field_for_a_value_follows_the_model(metadata: Any, output: Any, kind: str) -> None:
    assert type(value_field(metadata, output, label="x", required=True)).__name__ == kind


# The list


def test_the_list_shows_and_filters_feedback(
    client: Client, deployment: Deployment, author: Author, other_author: Author
) -> None:
    both, wrong, plain = (prediction_of(deployment) for _ in range(3))
    evaluate(both, author, "agree")
    evaluate(both, other_author, "disagree")
    evaluate(wrong, author, "disagree")
    turn_out(wrong, author, "good")
    page = text(client, LIST)
    for words in ("1 of 2 disagree", "Disagrees", "good · wrong"):
        assert words in page
    for query, shown in (
        ("evaluation=disagreed", {both, wrong}),
        ("evaluation=unavailable", {plain}),
        ("actual=differs", {wrong}),
        ("actual=unavailable", {both, plain}),
    ):
        rows = client.get(f"{LIST}?{query}").context["page"].rows
        assert set(rows) == shown, query
    assert "not one of the available" in text(client, f"{LIST}?actual=maybe")


def test_the_list_costs_the_same_queries_whatever_is_said(
    client: Client, deployment: Deployment, author: Author
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            text(client, LIST, headers=HTMX)
        return len(seen)

    evaluate(prediction_of(deployment), author)
    queries()
    before = queries()
    for _ in range(5):
        record = prediction_of(deployment)
        evaluate(record, author)
        turn_out(record, author, "good")
    assert queries() == before

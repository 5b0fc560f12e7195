"""The page and the API of feedback's figures: who may, what single people see, and its cost."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.deployments.models import Deployment
from tests.feedback.conftest import Caller
from tests.feedback.test_api import token
from tests.monitoring.feedback.conftest import Feedback


@pytest.fixture
def page(deployment: Deployment) -> str:
    return f"/w/{deployment.workspace.slug}/deployments/{deployment.slug}/feedback/"


@pytest.fixture
def said(feedback: Feedback, reviewer: User, operator: User) -> Feedback:
    queue = feedback.queue(operator, looked=50)
    for verdict in ("agree", "disagree", "agree"):
        record = feedback.predicted()
        feedback.judged(record, verdict, reviewer)
        feedback.answered(queue, record, verdict, reviewer, probability=0.5, spent_ms=9000)
    feedback.judged(record, "agree", operator)
    feedback.turned_out(record, "bad", operator)
    feedback.counted(50)
    return feedback


def test_an_empty_page_says_what_to_do(client_for: Any, reviewer: User, page: str) -> None:
    content = client_for(reviewer).get(page).content.decode()
    assert "Nothing was said of these predictions yet" in content
    assert "evaluatePrediction" in content


def test_the_page_shows_the_figures(
    client_for: Any, reviewer: User, page: str, said: Feedback
) -> None:
    content = client_for(reviewer).get(page).content.decode()
    for words in ("25.0\u00a0%", "of 50 predictions", "trust the weighted estimate", "1 actual"):
        assert words in content, words


def test_a_fragment_is_the_figures_alone(client_for: Any, reviewer: User, page: str) -> None:
    answer = client_for(reviewer).get(page, headers={"hx-request": "true"})
    assert b"<html" not in answer.content
    assert "HX-Request" in answer["Vary"]


def test_single_people_are_shown_to_the_owner_alone(
    client_for: Any, said: Feedback, page: str, owner: User, operator: User
) -> None:
    shown = client_for(owner).get(page).content.decode()
    hidden = client_for(operator).get(page).content.decode()
    assert "By reviewer" in shown
    assert "Reviewer and Operator" in shown or "Operator and Reviewer" in shown
    assert "By reviewer" not in hidden
    assert ">Reviewer<" not in hidden
    path = f"{page}reviewers.csv"
    assert client_for(owner).get(path).status_code == 200
    assert client_for(operator).get(path).status_code == 404


def test_a_chart_leaves_as_csv(client_for: Any, said: Feedback, page: str, reviewer: User) -> None:
    answer = client_for(reviewer).get(f"{page}groups.csv")
    lines = answer.content.decode().splitlines()
    assert lines[0] == "Class,Disagreement,95 % from,to,Cases"
    assert lines[1].startswith("bad,0.25,")
    assert "attachment" in answer["Content-Disposition"]
    assert client_for(reviewer).get(f"{page}rumours.csv").status_code == 404


def test_a_chart_stands_as_a_figure_with_its_numbers(
    client_for: Any, said: Feedback, page: str, reviewer: User
) -> None:
    client = client_for(reviewer)
    answer = client.get(f"{page}groups.html")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    block = re.search(r'<script id="figures"[^>]*>(.*?)</script>', answer.content.decode(), re.S)
    assert block is not None
    [points] = json.loads(block[1])["dark"]["data"]
    _, *lines = client.get(f"{page}groups.csv").content.decode().splitlines()
    known = [line.split(",") for line in lines if line.split(",")[1]]
    assert points["x"] == [float(cells[1]) for cells in known]
    low = [x - down for x, down in zip(points["x"], points["error_x"]["arrayminus"], strict=True)]
    assert low == pytest.approx([float(cells[2]) for cells in known])
    assert client.get(f"{page}time.html").status_code == 200
    assert client.get(f"{page}reviewers.html").status_code == 404
    assert client.get(f"{page}groups.xlsx").status_code == 404


def test_who_may_look(
    client_for: Any, page: str, deployment: Deployment, auditor: User, outsider: User
) -> None:
    assert client_for(auditor).get(page).status_code == 200
    assert client_for(outsider).get(page).status_code == 404
    assert client_for(outsider).get(f"{page}time.csv").status_code == 404
    assert Client().get(page).status_code == 302
    assert client_for(auditor).post(page).status_code == 405


def test_the_number_of_queries_does_not_grow(
    client_for: Any, page: str, said: Feedback, reviewer: User, owner: User
) -> None:
    client = client_for(owner)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(page)
        return len(captured)

    before = queries()
    for outcome in ("good", "bad"):
        record = said.predicted(outcome)
        said.judged(record, "disagree", owner, None)
        said.judged(record, "agree", reviewer)
    assert queries() == before


def test_the_api_says_the_same(
    said: Feedback, deployment: Deployment, owner: User, operator: User, outsider: User
) -> None:
    status, body = Caller(deployment, user=operator).call("GET", "feedback?period=7")
    assert (status, body["disagreement"]["count"], body["disagreement"]["n"]) == (200, 1, 4)
    assert (body["predictions"], body["reviewerCount"]) == (50, 2)
    assert "reviewers" not in body
    assert "paces" not in body
    shown = Caller(deployment, user=owner).call("GET", "feedback")[1]
    assert {each["name"] for each in shown["reviewers"]} == {"Reviewer", "Operator"}
    program = Caller(deployment, token=token(deployment, operator, "predict"))
    status, body = program.call("GET", "feedback")
    assert (status, "reviewers" in body) == (200, False)
    status, body = program.call("GET", "feedback?period=2")
    assert (status, "7, 30, 90, 365" in body["message"]) == (400, True)
    assert Caller(deployment, user=outsider).call("GET", "feedback")[0] == 404
    assert Caller(deployment).call("GET", "feedback")[0] == 401

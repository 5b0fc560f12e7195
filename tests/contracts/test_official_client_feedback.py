"""The official Python client's evaluations, actuals and filters, unchanged, against a real
server."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from apps.accounts import services as accounts
from apps.accounts.models import User
from tests.contracts.client_venv import CLIENT
from tests.contracts.conftest import python_or_skip, run_script
from tests.predictions.gateway.conftest import CASE, Served

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("drive_client_feedback.py")


def token(served: Served, by: User) -> str:
    return accounts.issue_token(
        workspace=served.deployment.workspace,
        deployment_id=served.deployment.id,
        deployment_name=served.deployment.name,
        name="Case desk",
        scopes=["evaluate", "actuals"],
        by=by,
    )[1]


@pytest.fixture
def got(served: Served, operator: User) -> Any:
    """What the client's calls returned; `ids` are those of three predictions, oldest first."""
    python = python_or_skip(CLIENT)
    pair, secret = accounts.create_key_pair(user=operator, name="client")
    cases = [CASE | {"applicationId": f"A-{number}"} for number in (1, 2, 3)]
    served.wait_for(lambda: served.predict({"instances": [CASE], "x": 1})[0] != 503)
    answers = [served.predict({"instances": [case]})[1] for case in cases]
    given = {
        "base": f"http://127.0.0.1:{served.server.port}",
        "workspace": str(served.deployment.workspace_id),
        "deployment": str(served.deployment.id),
        "accessKey": pair.access_key,
        "secretKey": secret,
        "token": token(served, operator),
        "narrow": served.text,
        "ids": [answer["predictionLogIds"][0] for answer in answers],
        "request": answers[1]["requestLogId"],
        "unknown": str(uuid4()),
    }
    return json.loads(run_script(python, SCRIPT, json.dumps(given))) | {"ids": given["ids"]}


def test_the_client_evaluates_uploads_actuals_and_filters_by_both(got: Any) -> None:
    first, second, third = got["ids"]
    assert [each["agree"] for each in got["evaluations"]] == [True, False, False]
    assert got["twice"] == "Log has already been evaluated."
    assert got["narrow"] == "No permission to perform this action."
    statuses = [each["status"] for each in got["actuals"]]
    assert (statuses, got["again"][0]["status"]) == ([200, 200, 404], 200)
    found = got["found"]
    assert found["agreed"] == [first]
    assert found["disagreed"] == [second, first]
    assert found["either"] == [second, first]
    assert found["actual"] == [third, first]
    for name in ("class", "success", "endpoint", "past"):
        assert found[name][:3] == [third, second, first], name
    assert (found["case"], found["id"], found["request"]) == ([first], [first], [second])
    assert (len(found["paged"]), found["future"]) == (1, [])
    assert got["log"]["evaluation"]["comment"] == "Income was misread"
    assert got["log"]["actual"]["actualValue"] == {"predictions": ["good"]}

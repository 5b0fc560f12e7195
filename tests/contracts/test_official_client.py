"""The official Python client, unchanged, against a real server."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps.accounts import services as accounts
from apps.accounts.models import User
from tests.contracts.client_venv import CLIENT
from tests.contracts.conftest import python_or_skip, run_script
from tests.predictions.gateway.conftest import CASE, Served

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("drive_client.py")


@pytest.fixture(scope="session")
def python() -> Path:
    """The client's own environment."""
    return python_or_skip(CLIENT)


@pytest.fixture
def got(python: Path, served: Served, operator: User) -> Any:
    """What the client's calls returned."""
    pair, secret = accounts.create_key_pair(user=operator, name="client")
    served.wait_for(lambda: served.predict({"instances": [CASE]})[0] == 200)
    given = {
        "base": f"http://127.0.0.1:{served.server.port}",
        "workspace": str(served.deployment.workspace_id),
        "deployment": str(served.deployment.id),
        "accessKey": pair.access_key,
        "secretKey": secret,
        "token": served.text,
        "case": CASE | {"applicationId": "A-1"},
    }
    return json.loads(run_script(python, SCRIPT, json.dumps(given)))


def test_the_client_predicts_reads_both_logs_and_changes_a_description(
    got: Any, served: Served
) -> None:
    for answer in got["answers"]:
        assert answer["predictions"] == [served.expected(CASE)]
    ids = [answer["predictionLogIds"][0] for answer in got["answers"]]
    for logs in got["logs"]:
        assert [log["id"] for log in logs] == ids
        assert logs[0]["tags"] == {"customId": "A-1"}
        assert logs[0]["request_body"] == {"instances": [CASE]}
        assert logs[0]["response_body"] == {"predictions": [served.expected(CASE)]}
    assert got["one"] == ids[:1]
    assert got["requests"][-1]["raw_request_body"]["instances"] == [CASE]
    assert got["refused"] is True
    served.deployment.refresh_from_db()
    assert served.deployment.description == "By the client"
    assert got["changed"]["description"] == "By the client"

"""`explain` of the official Python client, unchanged, against a real server."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments.explainers import Explainer, Method
from tests.contracts.client_venv import CLIENT
from tests.contracts.conftest import python_or_skip, run_script
from tests.predictions.gateway.conftest import CASE, Served, serving

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("drive_explain.py")


@pytest.fixture
def explained(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Iterator[Served]:
    explainer = Explainer((Method("shap", "shap.linear"), Method("what-if", "counterfactuals")))
    with serving(workspace, operator, tmp_path, explainer=explainer) as running:
        yield running


def test_the_client_gets_predictions_explanations_pictures_and_ids(
    explained: Served, operator: User
) -> None:
    pair, secret = accounts.create_key_pair(user=operator, name="client")
    explained.wait_for(lambda: explained.predict({"instances": [CASE]})[0] == 200)
    given = {
        "base": f"http://127.0.0.1:{explained.server.port}",
        "workspace": str(explained.deployment.workspace_id),
        "deployment": str(explained.deployment.id),
        "accessKey": pair.access_key,
        "secretKey": secret,
        "token": explained.text,
        "case": CASE,
    }
    got = json.loads(run_script(python_or_skip(CLIENT), SCRIPT, json.dumps(given)))
    for answer in got["answers"]:
        assert answer["predictions"] == [explained.expected(CASE)] * 2
        assert len(answer["predictionLogIds"]) == 2
        assert answer["requestLogId"]
        for each in answer["explanations"]:
            shap, what_if = each["explainers"]
            total = shap["baseValue"] + sum(each["shap_values"])
            assert total == pytest.approx(shap["prediction"], abs=1e-6)
            assert what_if["counterfactuals"]
    for picture in got["pictures"]:
        assert base64.b64decode(picture)[:4] == b"\x89PNG"
    kinds = {log["endpoint_type"] for log in got["logs"]}
    assert kinds == {"predict", "explain"}

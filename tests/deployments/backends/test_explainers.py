"""An explainer of ours on the container backends, asked through the gateway."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import GradientBoostingClassifier

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments import services
from apps.deployments.explainers import Explainer, Method
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.deployments.run_settings import RunSettings
from apps.predictions.models import PredictionRecord
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.deployments.backends.custom import settled
from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BUILT_SECONDS = 500
CASE = {"income": 1500.0, "age": 30.0}
EXPLAINER = Explainer(
    (Method("shap", "shap.tree"), Method("near", "lime", {"samples": 500})),
    seed=3,
    run=RunSettings(memory_mb=1024),
)

Prepared = Callable[[str], None]


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    """Trees on two columns, with the rows that they were trained on as reference."""
    random = np.random.default_rng(2)
    rows = pd.DataFrame(
        {"income": random.uniform(500, 4000, 200).round(1), "age": random.uniform(18, 80, 200)}
    )
    model = GradientBoostingClassifier(n_estimators=20, random_state=0)
    skops.io.dump(model.fit(rows, rows["income"] + 20 * rows["age"] < 2500), tmp_path / "m.skops")
    return registry.add_version(
        model=registry.create_model(workspace=workspace, name="Trees", by=operator),
        artifact=Upload("m.skops", [(tmp_path / "m.skops").read_bytes()]),
        sample=Upload("r.csv", [rows.to_csv(index=False).encode()]),
        by=operator,
    )


def explained(deployment: Deployment, by: User) -> list[dict[str, Any]]:
    """The gateway's answers for the case, asked twice."""
    workspace = deployment.workspace
    _, token = accounts.issue_token(
        workspace=workspace, deployment_id=deployment.id, deployment_name=deployment.name,
        name="t", scopes=["predict", "explain"], by=by,
    )  # fmt: skip
    path = f"/workspaces/{workspace.slug}/deployments/{deployment.slug}/explain"
    server = LiveServer().start()
    try:
        headers = {"Authorization": f"Bearer {token}"}
        answers = [server.request("POST", path, {"instances": [CASE]}, headers) for _ in range(2)]
    finally:
        server.stop()
    assert [status for status, _, _ in answers] == [200, 200], answers
    return [body for _, body, _ in answers]


def total(answer: dict[str, Any]) -> float:
    return float(
        answer["baseValue"] + sum(each["contribution"] for each in answer["contributions"])
    )


def timeless(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers but for what the clock says."""
    budgets = [each["budget"] | {"secondsUsed": 0} for each in answers]
    return [
        each | {"milliseconds": 0, "budget": budget}
        for each, budget in zip(answers, budgets, strict=True)
    ]


@pytest.mark.parametrize(("backend", "known_by"), [("docker", "name"), ("swarm", "service")])
def test_it_explains_through_the_gateway_on(
    version: ModelVersion, operator: User, reconciler: Reconciler, prepared: Prepared,
    backend: str, known_by: str,
) -> None:  # fmt: skip
    prepared(backend)
    deployment = services.create_deployment(
        workspace=version.model.workspace, name="Credit risk", model_version=version,
        backend=backend, explainer=EXPLAINER, run=RunSettings(memory_mb=512), by=operator,
    )  # fmt: skip
    revision = settled(reconciler, deployment, BUILT_SECONDS)
    assert revision.state == Revision.State.ACTIVE, f"{revision.error}\n{revision.error_log}"
    servers = {each.component.kind: each.handle[known_by] for each in Replica.objects.all()}
    assert servers.keys() == {Component.Kind.MODEL, Component.Kind.EXPLAINER}
    assert len(set(servers.values())) == 2
    body, again = explained(deployment, operator)
    [first], [second] = ([each["explainers"] for each in b["explanations"]] for b in (body, again))
    shap, near = first
    assert [each["method"] for each in first] == ["shap.tree", "lime"]
    assert total(shap) == pytest.approx(shap["prediction"], abs=1e-6)
    assert total(near) == pytest.approx(near["fidelity"]["localPrediction"], abs=1e-6)
    assert shap["output"] == body["predictions"][0]
    assert timeless(first) == timeless(second)
    recorded = [record.explanation_values for record in PredictionRecord.objects.all()]
    assert [timeless(each) for each in recorded] == [timeless(first)] * 2

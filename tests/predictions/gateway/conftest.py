"""A served deployment: real model server, real web process, real database."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from django.utils import timezone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from apps.accounts import services as accounts
from apps.accounts.models import DeploymentToken, User, Workspace
from apps.deployments import services as deployments
from apps.deployments.explainers import Explainer
from apps.deployments.models import Deployment
from apps.deployments.reconcile import Reconciler
from apps.deployments.transformers import Transformer
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.live import LiveServer

SAMPLE = pd.DataFrame(
    {
        "age": [23, 41, 35, 52, 29, 60],
        "city": ["Ede", "Urk", "Ede", "Goes", "Urk", "Goes"],
        "income": [1000.0, 2500.5, 1800.0, 900.0, 3000.0, 2100.0],
    }
)
METADATA = {
    "problemType": "classificationWithProbabilities",
    "predictionClasses": {"good": 0, "bad": 1},
    "features": [
        {"name": "age", "type": "integer"},
        {"name": "city", "type": "category", "categories": ["Ede", "Goes", "Urk"]},
        {"name": "income", "type": "number"},
    ],
    "customId": "applicationId",
    "exampleInput": {"instances": [{"age": 41, "city": "Urk", "income": 2500.5}]},
}
CASE = {"age": 35, "city": "Goes", "income": 1234.5}


@dataclass
class Served:
    """What a test needs to call a deployment and to break it."""

    server: LiveServer
    deployment: Deployment
    token: DeploymentToken
    text: str
    model: Pipeline
    reconciler: Reconciler
    start_seconds: float

    @cached_property
    def path(self) -> str:
        d = self.deployment
        return f"/workspaces/{d.workspace.slug}/deployments/{d.slug}/predict"

    def predict(
        self, body: Any, path: str | None = None, token: str | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        headers = {"Authorization": f"Bearer {token or self.text}"}
        return self.server.request("POST", path or self.path, body, headers)

    def expected(self, case: dict[str, Any]) -> list[float]:
        values: list[float] = self.model.predict_proba(pd.DataFrame([case]))[0].tolist()
        return values

    def wait_for(self, done: Callable[[], bool], seconds: float = 10) -> float:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if done():
                return time.monotonic() - started
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s")


def serve(
    workspace: Workspace,
    operator: User,
    artifact: Path,
    model: Any,
    metadata: dict[str, Any],
    transformer: Transformer | None = None,
    explainer: Explainer | None = None,
    sample: pd.DataFrame | None = None,
) -> Iterator[Served]:
    """Registers, deploys and serves a model file, until the iterator is closed.

    An explainer measures against `sample`.
    """
    entry = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload(artifact.name, [artifact.read_bytes()])
    reference = None
    if sample is not None:
        reference = Upload("reference.csv", [sample.to_csv(index=False).encode()])
    version = registry.add_version(
        model=entry, artifact=upload, metadata=metadata, sample=reference, by=operator
    )
    deployment = deployments.create_deployment(
        workspace=workspace,
        name="Credit risk",
        model_version=version,
        transformer=transformer,
        explainer=explainer,
        by=operator,
    )
    token, text = accounts.issue_token(
        workspace=workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name="Branch portal",
        scopes=["predict", "explain"] if explainer else ["predict"],
        by=operator,
    )
    reconciler = Reconciler()
    started = time.monotonic()
    deadline = started + 40
    while deployment.active_revision is None and time.monotonic() < deadline:
        reconciler.tick(timezone.now())
        deployment.refresh_from_db()
        time.sleep(0.05)
    took = time.monotonic() - started
    server = LiveServer()
    try:
        yield Served(server.start(), deployment, token, text, model, reconciler, took)
    finally:
        server.stop()
        reconciler.stop_everything(timezone.now())


def background(rows: int = 60) -> pd.DataFrame:
    """Applications like those of the sample, enough for every method."""
    random = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "age": random.integers(18, 80, rows),
            "city": random.choice(["Ede", "Goes", "Urk"], rows),
            "income": random.uniform(500, 4000, rows).round(2),
        }
    )


@contextmanager
def serving(
    workspace: Workspace,
    operator: User,
    folder: Path,
    transformer: Transformer | None = None,
    explainer: Explainer | None = None,
) -> Iterator[Served]:
    """A deployment of a pipeline on three features, ready, and the web process before it."""
    encode = ColumnTransformer([("c", OneHotEncoder(), ["city"])], remainder="passthrough")
    model = Pipeline([("encode", encode), ("regress", LogisticRegression())])
    model.fit(SAMPLE.astype({"city": object}), [0, 1, 0, 1, 1, 0])
    skops.io.dump(model, folder / "m.skops")
    yield from serve(
        workspace,
        operator,
        folder / "m.skops",
        model,
        METADATA,
        transformer,
        explainer,
        background(),
    )


@pytest.fixture
def served(
    transactional_db: None, workspace: Workspace, operator: User, tmp_path: Path
) -> Iterator[Served]:
    with serving(workspace, operator, tmp_path) as running:
        yield running

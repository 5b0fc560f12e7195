"""A deployment as the log's pages and services see it; nothing serves it."""

from pathlib import Path

import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Revision
from apps.registry import services as registry
from apps.registry.services import Upload

METADATA = {
    "problemType": "classificationWithProbabilities",
    "predictionClasses": {"good": 0, "bad": 1},
    "features": [
        {"name": "age", "type": "integer", "label": "Age", "unit": "years"},
        {"name": "city", "type": "category", "categories": ["Ede", "Goes", "Urk"]},
        {"name": "income", "type": "number", "observedMin": 900, "observedMax": 3000},
    ],
    "exampleInput": {"instances": [{"age": 41, "city": "Urk", "income": 2500.5}]},
}


@pytest.fixture
def deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=upload, metadata=METADATA, by=operator)
    made = deployments.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )
    revision = made.revisions.get()
    revision.state, revision.state_at = Revision.State.ACTIVE, timezone.now()
    revision.save()
    made.active_revision = revision
    made.save()
    return made

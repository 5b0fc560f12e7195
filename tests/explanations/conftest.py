"""A deployment with an explainer and an explained prediction; nothing serves them."""

import json
from pathlib import Path

import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import services as deployments
from apps.deployments.explainers import Explainer, Method
from apps.deployments.models import Deployment, Revision
from apps.explanations.models import GlobalExplanation
from apps.predictions.models import PredictionRecord
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.explanations.told import METADATA, sample, told
from tests.predictions.factories import prediction_of

RECORDED = ("shap.tree", "lime", "reason_codes", "counterfactuals", "anchors", "partial_dependence")
METHODS = (Method("shap.tree", "shap.tree"), Method("lime", "lime"))


@pytest.fixture
def version(workspace: Workspace, operator: User, tmp_path: Path) -> ModelVersion:
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
    upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    rows = Upload("sample.csv", [sample().to_csv(index=False).encode()])
    return registry.add_version(
        model=model,
        artifact=upload,
        metadata=METADATA,
        sample=rows,
        target="outcome",
        by=operator,
    )


@pytest.fixture
def deployment(version: ModelVersion, operator: User) -> Deployment:
    """With two explainers; its one revision is active."""
    made = deployments.create_deployment(
        workspace=version.model.workspace,
        name="Credit risk",
        model_version=version,
        explainer=Explainer(METHODS),
        by=operator,
    )
    _activate(made.revisions.get())
    return made


@pytest.fixture
def plain_deployment(version: ModelVersion, operator: User) -> Deployment:
    """Without an explainer."""
    made = deployments.create_deployment(
        workspace=version.model.workspace, name="Plain", model_version=version, by=operator
    )
    _activate(made.revisions.get())
    return made


def _activate(revision: Revision) -> None:
    revision.state, revision.state_at = Revision.State.ACTIVE, timezone.now()
    revision.save()
    revision.deployment.active_revision = revision
    revision.deployment.save()


@pytest.fixture
def record(deployment: Deployment) -> PredictionRecord:
    """A prediction without an explanation."""
    return prediction_of(deployment)


@pytest.fixture
def explained(record: PredictionRecord) -> PredictionRecord:
    """A prediction with what real explainers said."""
    text = json.dumps([told(method) for method in RECORDED])
    PredictionRecord.objects.filter(id=record.id).update(explanations=text)
    record.refresh_from_db()
    return record


@pytest.fixture
def believed(deployment: Deployment) -> GlobalExplanation:
    """What the explainer of the revision said of its model in general."""
    importance = {
        "features": [
            {"feature": name, "importance": size, "low": size / 2, "high": size * 2}
            for name, size in (("age", 0.2), ("city", 0.5), ("income", 0.1))
        ],
        "ranking": ["city", "age", "income"],
        "rows": 300,
    }
    shared = {"seed": 7, "backgroundId": "ab" * 32}
    [curve, *_] = told("partial_dependence")["curves"]
    curves = [{**curve, "class": "bad", "individual": [curve["individual"]] * 3}]
    return GlobalExplanation.objects.create(
        revision=deployment.revisions.get(),
        state=GlobalExplanation.State.DONE,
        state_at=timezone.now(),
        made_at=timezone.now(),
        milliseconds=1200,
        content={
            "permutation": {
                "unit": "logLoss",
                "truthKnown": True,
                "importance": importance,
                **shared,
            },
            "contributions": {"unit": "log-odds", "importance": importance, **shared},
            "curves": {"unit": "probability", "curves": curves, **shared},
            "interactions": {
                "unit": "log-odds",
                "class": "bad",
                "features": ["city", "age", "income"],
                "pairs": [
                    {"features": ["city", "age"], "size": 0.1, "share": 0.02},
                    {"features": ["city", "income"], "size": 0.0, "share": 0.0},
                    {"features": ["age", "income"], "size": 0.4, "share": 0.25},
                ],
                "rows": 40,
                **shared,
            },
        },
    )

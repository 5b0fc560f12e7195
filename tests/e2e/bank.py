"""A workspace with one of everything, so that each page has something to show."""

import time
from pathlib import Path

from django.core.management import call_command
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Environment
from apps.explanations.models import ExplainerTrial
from apps.feedback.authors import author_of
from apps.feedback.review.claims import claim_next
from apps.feedback.review.requests import ask_for_review
from apps.feedback.review.services import create_queue
from apps.feedback.review.settings import QueueSettings
from apps.predictions.models import PredictionRecord
from apps.registry import services as registry
from apps.registry.credentials.services import create_credential
from apps.registry.imports.services import create_repository, start_import
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.live import LiveServer

CUSTOM_ID = "application-1"
_CASE = {"instances": [{"age": 44, "city": "Goes"}], "customId": CUSTOM_ID}


def furnish(user: User, files: Path, live: LiveServer) -> tuple[Deployment, str]:
    """A model with a sample and a card, a draft, a deployment that answers and one that was
    stopped, a prediction, a refused request, a case that `user` judges, and a check of the record.
    Returns the deployment and its token."""
    workspace = Workspace.objects.get()
    artifact, sample = (files / "model.skops").read_bytes(), (files / "sample.csv").read_bytes()
    model = registry.create_model(workspace=workspace, name="City model", by=user)
    version = registry.add_version(
        model=model,
        artifact=Upload("model.skops", [artifact]),
        sample=Upload("sample.csv", [sample]),
        target="outcome",
        model_card="# Purpose\n\nEstimates the risk.\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        by=user,
    )
    registry.stage_upload(
        workspace=workspace,
        artifact=Upload("model.skops", [artifact]),
        sample=Upload("sample.csv", [sample]),
        target="outcome",
        by=user,
    )
    _open_places(workspace, user)
    made = [
        deployments.create_deployment(
            workspace=workspace, name=name, model_version=version, by=user
        )
        for name in ("City risk", "Stopped risk")
    ]
    deployments.set_desired(deployment=made[1], desired="stopped", by=user.actor)
    _, token = accounts.issue_token(
        workspace=workspace,
        deployment_id=made[0].id,
        deployment_name=made[0].name,
        name="Browser",
        scopes=["predict"],
        by=user,
    )
    _predict(live, made[0], token)
    _try_out(version, user)
    _ask(made[0], user)
    call_command("verify")
    Environment.objects.create(
        digest="0" * 64,
        name="LightGBM",
        python="3.11",
        requirements="lightgbm==4.7.0\nnumpy==2.4.6",
        last_used_at=timezone.now(),
    )
    return made[0], token


def _try_out(version: ModelVersion, user: User) -> None:
    """Explainers that were measured, one of which does not suit."""
    refused = {"name": "trees", "method": "shap.tree", "refused": "It does not suit this model."}
    ExplainerTrial.objects.create(
        version=version,
        methods=[{"name": "trees", "method": "shap.tree", "settings": {}}],
        config={"rows": 1000, "seed": 0, "memory_mb": 2048},
        backend="process",
        state=ExplainerTrial.State.DONE,
        seen_at=timezone.now(),
        results=[refused],
        asked_by=user,
    )


def _open_places(workspace: Workspace, user: User) -> None:
    """A credential, a repository that it opens, and an import from a host that is unknown."""
    credential = create_credential(
        workspace=workspace, name="Bot", kind="token", secret={"token": "t"}, by=user
    )
    url = "https://git.invalid/models.git"
    create_repository(workspace=workspace, name="Models", url=url, credential=credential, by=user)
    start_import(workspace=workspace, source={"kind": "git", "url": url}, by=user)


def _predict(live: LiveServer, deployment: Deployment, token: str) -> None:
    """Waits until the deployment answers; then sends what it must refuse."""
    path = f"/workspaces/retail-credit/deployments/{deployment.slug}/predict"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    deadline = time.monotonic() + 60
    while live.request("POST", path, _CASE, headers)[0] != 200:
        assert time.monotonic() < deadline, deployment.revisions.values("state", "error")
        time.sleep(0.3)
    wrong = {"instances": [{"age": "old", "city": "Goes"}]}
    assert live.request("POST", path, wrong, headers)[0] == 400


def _ask(deployment: Deployment, user: User) -> None:
    """A review of the prediction, which `user` asks for and begins."""
    now = timezone.now()
    settings = QueueSettings(name="Doubtful", reasons=[{"key": "policy", "text": "Policy"}])
    queue = create_queue(deployment=deployment, settings=settings, by=user, now=now)
    ask_for_review(
        queue=queue,
        prediction=PredictionRecord.objects.get(),
        reason="The customer objects",
        by=author_of(user),
        now=now,
    )
    claim_next(queue=queue, reviewer=user, now=now)

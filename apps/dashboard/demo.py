"""The demo: a bank's workspace with two credit models on real data and one that watches made-up
transfers, made once."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django_q.tasks import async_task

from apps.accounts import services as accounts
from apps.accounts.models import DeploymentToken, Membership, User, Workspace
from apps.audit.actor import SYSTEM
from apps.dashboard.demo_models import CREDIT, TRANSACTIONS, DemoModel
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, UseCase
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload

USERNAME = "demo@example.org"


def load(*, base_url: str) -> Path:
    """Trains the models, deploys them, and writes VAR_DIR/demo.json (mode 600).

    Does nothing where the file is there. All or nothing: a load that fails leaves no rows.
    """
    target: Path = settings.VAR_DIR / "demo.json"
    if target.exists():
        return target
    folder = train()
    with transaction.atomic():
        content = _make(folder)
        async_task("apps.dashboard.tasks.replay_demo")
    _write(target, {"baseUrl": base_url} | content)
    return target


def _make(folder: Path) -> dict[str, Any]:
    """The demo's rows, and what demo.json says of them."""
    password = secrets.token_urlsafe(12)
    user = User.objects.create_user(
        USERNAME, password, name="Demo Owner", organisation_role=User.OrganisationRole.ADMIN
    )
    workspace = accounts.create_workspace(
        name="Retail credit", description="Loans to consumers", by=SYSTEM
    )
    accounts.add_member(workspace=workspace, user=user, role=Membership.Role.OWNER, by=SYSTEM)
    use_case = deployments.create_use_case(
        workspace=workspace,
        name="Loan origination",
        description="Decides on applications for consumer loans. EU AI Act, Annex III 5(b).",
        risk=UseCase.Risk.HIGH,
        stage=UseCase.Stage.PRODUCTION,
        by=user,
    )
    made = [deploy(folder, each, use_case, user) for each in CREDIT]
    made.append(deploy(folder, TRANSACTIONS, _monitoring(workspace, user), user))
    key_pair, secret = accounts.create_key_pair(user=user, name="Demo")
    return {
        "username": USERNAME,
        "password": password,
        "workspaceId": str(workspace.id),
        "accessKey": key_pair.access_key,
        "secretKey": secret,
        "deployments": made,
    }


def _monitoring(workspace: Workspace, user: User) -> UseCase:
    return deployments.create_use_case(
        workspace=workspace,
        name="Transaction monitoring",
        description="Finds transfers that an analyst looks at before they leave. Detecting "
        "financial fraud is not among the high-risk uses of the EU AI Act, Annex III 5(b).",
        risk=UseCase.Risk.LIMITED,
        stage=UseCase.Stage.PRODUCTION,
        by=user,
    )


def train() -> Path:
    """The folder with what the models of the demo are made of."""
    folder: Path = settings.VAR_DIR / "demo"
    command = [sys.executable, "-m", "fixtures.train_demo", "--out", str(folder)]
    subprocess.run(command, check=True, cwd=settings.BASE_DIR)
    return folder


def deploy(folder: Path, given: DemoModel, use_case: UseCase, user: User) -> dict[str, Any]:
    """Deploys a model of the demo; what demo.json says of it."""
    version = _version(folder, given, use_case.workspace, user)
    deployment = deployments.create_deployment(
        workspace=use_case.workspace,
        name=given.name,
        description=given.about,
        use_case=use_case,
        model_version=version,
        explainer=given.explainer(folder, use_case.workspace),
        by=user,
    )
    return {
        "id": str(deployment.id),
        "name": deployment.name,
        "token": _token(deployment, user),
        "exampleInput": version.metadata["exampleInput"],
    } | given.replayed


def _version(folder: Path, given: DemoModel, workspace: Workspace, user: User) -> ModelVersion:
    model = registry.create_model(
        workspace=workspace, name=given.model, description=given.about_model, by=user
    )
    artifact = folder / given.artifact
    return registry.add_version(
        model=model,
        artifact=Upload(artifact.name, [artifact.read_bytes()]),
        metadata=json.loads(given.read(folder, "metadata.json")),
        sample=Upload("reference.csv", [(folder / given.sample).read_bytes()]),
        target="outcome",
        model_card=given.read(folder, "model_card.md"),
        data_card=given.read(folder, "data_card.md"),
        by=user,
    )


def _token(deployment: Deployment, user: User) -> str:
    _, text = accounts.issue_token(
        workspace=deployment.workspace,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        name="Demo",
        scopes=DeploymentToken.Scope.values,
        by=user,
    )
    return text


def _write(target: Path, content: dict[str, Any]) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)

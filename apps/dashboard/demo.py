"""The demo: a bank's workspace with two credit models on real data, made once."""

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
from apps.deployments import services as deployments
from apps.deployments.explainer_files import take_background
from apps.deployments.explainers import Explainer, Method
from apps.deployments.models import Deployment, UseCase
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload

USERNAME = "demo@example.org"
_MODELS = (
    ("gradient-boosting", "model.skops", "Gradient boosting", "Consumer credit risk"),
    ("xgboost", "model.ubj", "XGBoost", "Consumer credit risk, challenger"),
)
_SEED = 20261124
# What an applicant is, or has behind them, is nothing to advise them to change.
_GIVEN = [
    *("age", "personal_status_sex", "foreign_worker", "people_liable"),
    *("credit_history", "residence_since", "existing_credits"),
]


def load(*, base_url: str) -> Path:
    """Trains the models, deploys them, and writes VAR_DIR/demo.json (mode 600).

    Does nothing where the file is there. All or nothing: a load that fails leaves no rows.
    """
    target: Path = settings.VAR_DIR / "demo.json"
    if target.exists():
        return target
    folder = _train()
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
    made = [
        _deploy(folder, source, filename, model, name, workspace, use_case, user)
        for source, filename, model, name in _MODELS
    ]
    key_pair, secret = accounts.create_key_pair(user=user, name="Demo")
    return {
        "username": USERNAME,
        "password": password,
        "workspaceId": str(workspace.id),
        "accessKey": key_pair.access_key,
        "secretKey": secret,
        "deployments": made,
    }


def _train() -> Path:
    folder: Path = settings.VAR_DIR / "demo"
    script = Path(settings.BASE_DIR) / "fixtures" / "train_demo.py"
    subprocess.run([sys.executable, str(script), "--out", str(folder)], check=True)
    return folder


def _deploy(
    folder: Path,
    source: str,
    filename: str,
    model_name: str,
    name: str,
    workspace: Workspace,
    use_case: UseCase,
    user: User,
) -> dict[str, Any]:
    version = _version(folder, source, filename, model_name, workspace, user)
    deployment = deployments.create_deployment(
        workspace=workspace,
        name=name,
        description="Estimates the risk that a consumer loan is not repaid.",
        use_case=use_case,
        model_version=version,
        explainer=_explainer(folder, source, workspace),
        by=user,
    )
    return {
        "id": str(deployment.id),
        "name": deployment.name,
        "token": _token(deployment, user),
        "exampleInput": version.metadata["exampleInput"],
    }


def _explainer(folder: Path, source: str, workspace: Workspace) -> Explainer:
    """What suits each model; anchors need applications that it was not trained on."""
    if source == "xgboost":
        return Explainer((Method("shap", "shap.native"), Method("lime", "lime")), seed=_SEED)
    catalogue = Path(settings.BASE_DIR) / "fixtures" / "german_credit_reasons.json"
    codes = {"catalogue": json.loads(catalogue.read_text()), "adverse": "bad"}
    methods = (
        Method("shap", "shap.tree"),
        Method("reasons", "reason_codes", codes),
        Method("anchors", "anchors"),
        Method("counterfactuals", "counterfactuals", {"immutable": _GIVEN}),
    )
    holdout = Upload("holdout.csv", [(folder / "holdout.csv").read_bytes()])
    return Explainer(methods, background=take_background(workspace, holdout), seed=_SEED)


def _version(
    folder: Path, source: str, filename: str, model_name: str, workspace: Workspace, user: User
) -> ModelVersion:
    model = registry.create_model(
        workspace=workspace,
        name=model_name,
        description="Probability that a consumer loan is not repaid, on German Credit.",
        by=user,
    )
    read = (folder / source).joinpath
    return registry.add_version(
        model=model,
        artifact=Upload(filename, [read(filename).read_bytes()]),
        metadata=json.loads(read("metadata.json").read_text()),
        sample=Upload("reference.csv", [(folder / "reference.csv").read_bytes()]),
        target="outcome",
        model_card=read("model_card.md").read_text(),
        data_card=read("data_card.md").read_text(),
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

"""The kept artifacts of other frameworks, from the upload to a revision that runs."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.deployments import services
from apps.deployments.models import Deployment, EnvironmentBuild, Revision
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.serving.environments import interpreter

KEPT = Path(settings.BASE_DIR) / "fixtures" / "artifacts"
ANSWERS: dict[str, dict[str, Any]] = json.loads((KEPT / "answers.json").read_text())
# The first test of a framework on a machine builds its environment on the way.
LONGEST_SECONDS = 900


def added(name: str, workspace: Workspace, by: User) -> ModelVersion:
    """A version of the kept artifact, with its metadata."""
    return registry.add_version(
        model=registry.create_model(workspace=workspace, name=name, by=by),
        artifact=Upload(name, [(KEPT / name).read_bytes()]),
        metadata=ANSWERS[name]["metadata"],
        by=by,
    )


def deployed(version: ModelVersion, by: User) -> Deployment:
    """A deployment of the version, with memory enough for any framework."""
    return services.create_deployment(
        workspace=version.model.workspace,
        name="Other",
        model_version=version,
        run=services.RunSettings(memory_mb=3000),
        by=by,
    )


def run(reconciler: Reconciler, deployment: Deployment, wanted: str) -> Revision:
    """Ticks until the revision is in the state; its environment is the one that tests share."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (revision := deployment.revisions.get()).state != wanted:
        if time.monotonic() > deadline or revision.state == "failed":
            pytest.fail(f"{revision.state}: {revision.error}\n{revision.error_log}")
        reconciler.tick(timezone.now())
        for build in EnvironmentBuild.objects.filter(state="pending"):
            framework = build.environment.name
            build.location = str(interpreter(framework).parent.parent)
            build.state = EnvironmentBuild.State.READY
            build.save()
        time.sleep(0.05)
    return revision

"""Deployments of fixture images, and the controller's rounds until they have settled."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.core.ids import uuid7
from apps.deployments.models import Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from apps.registry.models import ModelVersion

Deploy = Callable[..., Deployment]
METADATA = {
    "features": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [{"a": 1.0, "b": 3.0}]},
}


def version_of(workspace: Workspace, by: User, image: str, **source: Any) -> ModelVersion:
    """A version whose model is somebody's container."""
    model = registry.create_model(workspace=workspace, name=f"Image {uuid7().hex[-6:]}", by=by)
    return ModelVersion.objects.create(
        model=model,
        number=1,
        framework=ModelVersion.Framework.CUSTOM,
        format="image",
        source={"kind": "image", "image": image, "port": 8080} | source,
        metadata=METADATA,
        created_by=by,
    )


def settled(reconciler: Reconciler, deployment: Deployment, seconds: float = 60) -> Revision:
    """The newest revision once it is active or has failed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reconciler.tick(timezone.now())
        revision = deployment.revisions.first()
        assert revision is not None
        if revision.state in (Revision.State.ACTIVE, Revision.State.FAILED):
            return revision
        time.sleep(0.05)
    pytest.fail(f"not settled: {list(Replica.objects.values())}")


def tick_until(reconciler: Reconciler, done: Callable[[], bool], seconds: float = 60) -> float:
    """Rounds until `done`; the seconds that took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        reconciler.tick(timezone.now())
        if done():
            return time.monotonic() - started
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s: {list(Replica.objects.values())}")


def ready() -> list[Replica]:
    """The replicas that answer, in the order of their index."""
    return list(Replica.objects.filter(state=Replica.State.READY).order_by("index"))

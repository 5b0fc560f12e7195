"""From a revision to a served model, and back when something fails: real model servers."""

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.core.errors import Invalid
from apps.deployments import model_client, services
from apps.deployments.models import Deployment, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from apps.registry.models import Model, ModelVersion
from apps.registry.services import Upload

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
METADATA = {
    "features": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [{"a": 0.0, "b": 1.0}]},
}


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def model(workspace: Workspace, operator: User) -> Model:
    return registry.create_model(workspace=workspace, name="Logistic", by=operator)


@pytest.fixture
def version(model: Model, operator: User, tmp_path: Path) -> ModelVersion:
    trained = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    skops.io.dump(trained, tmp_path / "m.skops")
    artifact = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    return registry.add_version(model=model, artifact=artifact, metadata=METADATA, by=operator)


@pytest.fixture
def deployment(workspace: Workspace, version: ModelVersion, operator: User) -> Deployment:
    return services.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=operator
    )


def tick_until(
    reconciler: Reconciler,
    done: Callable[[], bool],
    seconds: float = 40,
    look: Callable[[datetime], bool] | None = None,
) -> float:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        (look or reconciler.tick)(timezone.now())
        if done():
            return time.monotonic() - started
        time.sleep(0.05)
    states = list(Revision.objects.values("number", "state", "error", "error_log"))
    pytest.fail(f"not within {seconds} s: {states}")


def active(deployment: Deployment) -> int | None:
    deployment.refresh_from_db()
    return deployment.active_revision.number if deployment.active_revision else None


def ready(deployment: Deployment) -> list[Replica]:
    rows = Replica.objects.filter(
        component__revision__deployment=deployment, state=Replica.State.READY
    )
    return list(rows)


def test_a_new_deployment_comes_to_serve(deployment: Deployment, reconciler: Reconciler) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1)
    replica = ready(deployment)[0]
    assert model_client.predict(replica.address, [{"a": 0.0, "b": 1.0}])
    names = list(Event.objects.order_by("number").values_list("name", flat=True))
    assert names[-4:] == [
        "use_case.created",
        "deployment.created",
        "revision.created",
        "revision.activated",
    ]


def test_an_update_serves_from_the_new_revision_and_stops_the_old(
    deployment: Deployment, operator: User, reconciler: Reconciler
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1)
    old = ready(deployment)[0]
    services.create_revision(deployment=deployment, by=operator)
    tick_until(reconciler, lambda: active(deployment) == 2)
    assert old.address in {replica.address for replica in ready(deployment)}
    first = deployment.revisions.get(number=1)
    assert first.state == Revision.State.DRAINING
    tick_until(
        reconciler, lambda: deployment.revisions.get(number=1).state == Revision.State.RETIRED
    )
    assert old.address not in {replica.address for replica in ready(deployment)}


def test_a_revision_that_cannot_load_never_serves_and_says_why(
    deployment: Deployment,
    model: Model,
    operator: User,
    reconciler: Reconciler,
    tmp_path: Path,
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1)
    trained = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    skops.io.dump(trained, tmp_path / "narrow.skops")
    artifact = Upload("narrow.skops", [(tmp_path / "narrow.skops").read_bytes()])
    narrow = registry.add_version(model=model, artifact=artifact, metadata=METADATA, by=operator)
    services.create_revision(deployment=deployment, model_version=narrow, by=operator)
    tick_until(
        reconciler, lambda: deployment.revisions.get(number=2).state == Revision.State.FAILED
    )
    assert active(deployment) == 1
    assert len(ready(deployment)) == 1
    failed = deployment.revisions.get(number=2)
    assert "failed on the example input" in failed.error
    assert Event.objects.filter(name="revision.failed").count() == 1


def test_a_killed_model_server_is_back_within_five_seconds(
    deployment: Deployment, reconciler: Reconciler
) -> None:
    first = tick_until(reconciler, lambda: active(deployment) == 1)
    killed = ready(deployment)[0]
    os.kill(killed.handle["pid"], signal.SIGKILL)
    reconciler.tick(timezone.now())
    took = tick_until(
        reconciler,
        lambda: [r for r in ready(deployment) if r.handle["pid"] != killed.handle["pid"]] != [],
    )
    assert took < max(5.0, 2 * first)  # the latter where the machine is busy with others
    assert Event.objects.filter(name="replica.ended").count() == 1


def test_what_is_at_rest_is_not_looked_at_while_another_deployment_is_followed(
    deployment: Deployment,
    workspace: Workspace,
    version: ModelVersion,
    operator: User,
    reconciler: Reconciler,
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1)
    assert not reconciler.tick(timezone.now())
    other = services.create_deployment(
        workspace=workspace, name="Other", model_version=version, by=operator
    )
    assert reconciler.tick(timezone.now())
    killed = ready(deployment)[0]
    os.kill(killed.handle["pid"], signal.SIGKILL)
    tick_until(reconciler, lambda: active(other) == 1, look=reconciler.follow)
    assert [each.handle for each in ready(deployment)] == [killed.handle]
    assert not reconciler.follow(timezone.now())
    assert reconciler.tick(timezone.now())
    assert ready(deployment) == []


def test_stopping_and_deleting_end_the_processes(
    deployment: Deployment, operator: User, reconciler: Reconciler
) -> None:
    tick_until(reconciler, lambda: active(deployment) == 1)
    services.set_desired(deployment=deployment, desired="stopped", by=operator.actor)
    reconciler.tick(timezone.now())
    assert ready(deployment) == []
    services.set_desired(deployment=deployment, desired="running", by=operator.actor)
    tick_until(reconciler, lambda: len(ready(deployment)) == 1)
    services.delete_deployment(deployment=deployment, by=operator.actor, now=timezone.now())
    reconciler.tick(timezone.now())
    assert active(deployment) is None
    assert ready(deployment) == []


def test_a_changed_artifact_is_not_started(
    deployment: Deployment, version: ModelVersion, reconciler: Reconciler
) -> None:
    from apps.registry import storage

    path = storage.path_of(version.artifact.sha256)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")
    tick_until(
        reconciler, lambda: deployment.revisions.get(number=1).state == Revision.State.FAILED
    )
    path.unlink()
    assert "checksum" in deployment.revisions.get(number=1).error


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_a_dangerous_file_needs_an_override(
    workspace: Workspace, model: Model, operator: User
) -> None:
    trained = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    artifact = Upload("m.pkl", [pickle.dumps([trained, _Evil()])])
    version = registry.add_version(model=model, artifact=artifact, by=operator)
    with pytest.raises(Invalid, match=r"posix\.system"):
        services.create_deployment(
            workspace=workspace, name="Risky", model_version=version, by=operator
        )
    registry.override_scan(version=version, reason="We made it ourselves", by=operator)
    services.create_deployment(
        workspace=workspace, name="Risky", model_version=version, by=operator
    )
    assert Event.objects.filter(name="model.scan_overridden").count() == 1

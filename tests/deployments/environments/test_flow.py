"""From a model that needs packages of its own to its answers: real builds, real model servers."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.deployments import model_client, services
from apps.deployments.environments import builds, performing
from apps.deployments.models import Component, Deployment, EnvironmentBuild, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from apps.registry.models import Model, ModelVersion
from apps.registry.services import Upload
from tests.deployments.environments.conftest import Make
from tests.deployments.environments.wheels import make_wheel

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
OTHER = "1.8.0"
METADATA = {
    "features": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [{"a": 0.0, "b": 1.0}]},
}
TRAIN = """
import joblib, sys
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0], [0.5, 0.1]], [0, 1, 1])
joblib.dump(model, sys.argv[1])
print(repr(model.predict_proba([[0.3, 0.4]])[0].tolist()))
"""


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def model(workspace: Workspace, operator: User) -> Model:
    return registry.create_model(workspace=workspace, name="Logistic", by=operator)


def added(model: Model, path: Path, operator: User) -> ModelVersion:
    upload = Upload(path.name, [path.read_bytes()])
    return registry.add_version(model=model, artifact=upload, metadata=METADATA, by=operator)


def deployed(model: Model, version: ModelVersion, operator: User) -> Deployment:
    return services.create_deployment(
        workspace=model.workspace, name="Credit risk", model_version=version, by=operator
    )


@pytest.fixture
def own(model: Model, operator: User, tmp_path: Path) -> ModelVersion:
    """A version that the application's own packages read."""
    skops.io.dump(LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1]), tmp_path / "m.skops")
    return added(model, tmp_path / "m.skops", operator)


def stock(wheels: Path) -> None:
    """All that the model server needs, by name."""
    for name in ("numpy", "pandas", "orjson", "httptools", "uvloop"):
        make_wheel(wheels, name, "1.0")


def work() -> None:
    """What the worker would do now."""
    waiting = EnvironmentBuild.objects.filter(state="pending").values_list("id", flat=True)
    for build_id in list(waiting):
        performing.perform(build_id)


def until(reconciler: Reconciler, done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(str(list(Revision.objects.values("number", "state", "error", "error_log"))))
        reconciler.tick(timezone.now())
        time.sleep(0.05)


def state(deployment: Deployment, number: int = 1) -> str:
    return deployment.revisions.get(number=number).state


def replica(deployment: Deployment) -> Replica:
    return Replica.objects.get(component__revision__deployment=deployment, state="ready")


def test_a_model_of_another_release_is_served_by_that_release(
    make: Make, model: Model, operator: User, reconciler: Reconciler, tmp_path: Path
) -> None:
    trainer = make(f"scikit-learn=={OTHER}", "joblib", resolved=False)
    assert performing.perform(trainer.id) == "ready"
    trainer.refresh_from_db()
    command = [f"{trainer.location}/bin/python", "-c", TRAIN, str(tmp_path / "m.joblib")]
    expected = eval(subprocess.run(command, capture_output=True, check=True).stdout)
    deployment = deployed(model, added(model, tmp_path / "m.joblib", operator), operator)
    until(reconciler, lambda: state(deployment) == "building")
    assert Replica.objects.count() == 0
    work()
    until(reconciler, lambda: state(deployment) == "active")
    served = replica(deployment)
    assert model_client.predict(served.address, [{"a": 0.3, "b": 0.4}]) == [expected]
    environment = Component.objects.get().environment
    assert environment is not None
    assert f"scikit-learn=={OTHER}" in environment.requirements
    assert "InconsistentVersionWarning" not in reconciler.backend_for("process").log(served.handle)
    assert served.handle["isolation"]["landlock"] or served.handle["isolation"]["uid"] is not None
    location = environment.builds.get().location
    assert location in (Path(served.handle["directory"]) / "launch.json").read_text()

    shutil.rmtree(location)
    reconciler.backend_for("process").stop(served.handle, grace_seconds=2)
    until(reconciler, lambda: environment.builds.get().state == "pending")
    assert state(deployment) == "active"


def test_a_build_that_fails_leaves_the_old_revision_serving(
    own: ModelVersion, model: Model, operator: User, reconciler: Reconciler, wheels: Path
) -> None:
    deployment = deployed(model, own, operator)
    until(reconciler, lambda: state(deployment) == "active")
    stock(wheels)
    ModelVersion.objects.filter(pk=own.pk).update(requirements="little==9.0")
    own.refresh_from_db()
    services.create_revision(deployment=deployment, model_version=own, by=operator)
    until(reconciler, lambda: state(deployment, 2) == "building")
    work()
    until(reconciler, lambda: state(deployment, 2) == "failed")
    failed = deployment.revisions.get(number=2)
    assert "was not built: There is no little==9.0 for Python" in failed.error
    assert "No matching distribution found for little==9.0" in failed.error_log
    assert model_client.predict(replica(deployment).address, [{"a": 0.0, "b": 1.0}])
    assert Event.objects.filter(name="revision.failed").count() == 1


def test_a_release_that_does_not_exist_here_is_tried_with_the_applications_packages(
    own: ModelVersion, model: Model, operator: User, reconciler: Reconciler, wheels: Path
) -> None:
    stock(wheels)
    for name in ("skops", "joblib"):
        make_wheel(wheels, name, "1.0")
    ModelVersion.objects.filter(pk=own.pk).update(framework_version="99.0.0")
    own.refresh_from_db()
    deployment = deployed(model, own, operator)
    until(reconciler, lambda: state(deployment) == "building")
    work()
    until(reconciler, lambda: state(deployment) == "active")
    assert Component.objects.get().environment is None
    event = Event.objects.get(name="environment.unavailable")
    assert "scikit-learn" in (event.data or "")


def test_a_cancelled_build_ends_the_revision_that_waits_for_it(
    own: ModelVersion, model: Model, operator: User, reconciler: Reconciler
) -> None:
    ModelVersion.objects.filter(pk=own.pk).update(requirements="little==1.0")
    own.refresh_from_db()
    deployment = deployed(model, own, operator)
    until(reconciler, lambda: state(deployment) == "building")
    build = EnvironmentBuild.objects.get()
    builds.cancel(build=build, by=operator.actor, now=timezone.now())
    until(reconciler, lambda: state(deployment) == "failed")
    assert "Operator cancelled it." in deployment.revisions.get().error

"""From a version that brings its own packages to answers of a container that has them."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.deployments import model_client, services
from apps.deployments.environments import build_log, builds, performing
from apps.deployments.environments.builders import builder_of
from apps.deployments.models import Deployment, EnvironmentBuild, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.deployments.backends import engine as engines

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
LONGEST_SECONDS = 240


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    made = engines.client()
    yield made
    engines.clean(made)
    made.close()


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def deploy(
    workspace: Workspace, operator: User, engine: docker.DockerClient, tmp_path: Path
) -> Callable[[str], Deployment]:
    def deployed(requirements: str) -> Deployment:
        skops.io.dump(fitted(), tmp_path / "m.skops")
        model = registry.create_model(workspace=workspace, name="Logistic", by=operator)
        upload = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
        version = registry.add_version(model=model, artifact=upload, by=operator)
        type(version).objects.filter(pk=version.pk).update(requirements=requirements)
        version.refresh_from_db()
        return services.create_deployment(
            workspace=workspace,
            name="Credit risk",
            model_version=version,
            backend="docker",
            by=operator,
        )

    return deployed


def fitted() -> LogisticRegression:
    return LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])


def newest(deployment: Deployment) -> Revision:
    found = deployment.revisions.first()
    assert found is not None
    return found


def until(reconciler: Reconciler, deployment: Deployment, wanted: str) -> Revision:
    deadline = time.monotonic() + LONGEST_SECONDS
    while (revision := newest(deployment)).state != wanted:
        if time.monotonic() > deadline or revision.state in ("failed", "retired"):
            pytest.fail(f"{revision.state}: {revision.error}\n{revision.error_log}")
        reconciler.tick(timezone.now())
        time.sleep(0.05)
    return revision


def test_a_container_serves_with_the_packages_that_the_version_asks_for(
    deploy: Callable[[str], Deployment], reconciler: Reconciler
) -> None:
    deployment = deploy("scikit-learn\nskops\n")
    until(reconciler, deployment, "building")
    build = EnvironmentBuild.objects.get()
    assert build.kind == "image"
    assert performing.perform(build.id) == "ready", build_log.tail(
        build.environment.digest, build.kind
    )
    until(reconciler, deployment, "active")
    build.refresh_from_db()
    assert builder_of("image").exists(build.location)
    assert build.size
    served = model_client.predict(Replica.objects.get(state="ready").address, [[0.0, 1.0]])
    assert served == [pytest.approx(fitted().predict_proba([[0.0, 1.0]])[0].tolist())]


def test_a_service_serves_from_the_image_that_was_built_for_containers(
    deploy: Callable[[str], Deployment], reconciler: Reconciler, engine: docker.DockerClient,
    operator: User,
) -> None:  # fmt: skip
    deployment = deploy("scikit-learn\nskops\n")
    until(reconciler, deployment, "building")
    assert performing.perform(EnvironmentBuild.objects.get().id) == "ready"
    until(reconciler, deployment, "active")
    with engines.swarm(engine):
        services.create_revision(deployment=deployment, backend="swarm", by=operator)
        until(reconciler, deployment, "active")
        assert EnvironmentBuild.objects.count() == 1
        replica = Replica.objects.get(state="ready", component__revision__number=2)
        served = model_client.predict(replica.address, [[0.0, 1.0]])
        assert served == [pytest.approx(fitted().predict_proba([[0.0, 1.0]])[0].tolist())]
        reconciler.stop_everything(timezone.now())


def test_an_image_without_its_package_names_it(
    deploy: Callable[[str], Deployment], reconciler: Reconciler
) -> None:
    deployment = deploy("six==99.0\n")
    until(reconciler, deployment, "building")
    build = EnvironmentBuild.objects.get()
    assert performing.perform(build.id) == "failed"
    build.refresh_from_db()
    assert "six==99.0" in build.error
    until(reconciler, deployment, "failed")
    assert Replica.objects.count() == 0


def test_an_image_that_is_not_wanted_any_more_ends_its_revision(
    deploy: Callable[[str], Deployment], reconciler: Reconciler, operator: User
) -> None:
    deployment = deploy("six==1.16.0\n")
    until(reconciler, deployment, "building")
    builds.cancel(build=EnvironmentBuild.objects.get(), by=operator.actor, now=timezone.now())
    revision = until(reconciler, deployment, "failed")
    assert "cancelled it." in revision.error

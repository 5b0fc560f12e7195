"""One engine for all tests of containers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import docker
import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.deployments import services
from apps.deployments.explainers import Explainer
from apps.deployments.models import Deployment
from apps.deployments.reconcile import Reconciler
from apps.deployments.transformers import Transformer
from tests.deployments.backends import engine as engines
from tests.deployments.backends.custom import Deploy, version_of
from tests.serving import elsewhere


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    made = engines.client()
    yield made
    engines.clean(made)
    made.close()


@pytest.fixture(scope="session", autouse=True)
def _workers() -> Iterator[None]:
    yield
    elsewhere.close_all()


@pytest.fixture
def prepared(engine: docker.DockerClient) -> Iterator[Callable[[str], None]]:
    """Makes the engine ready for a backend: the swarm one needs a swarm."""
    with ExitStack() as stack:

        def made(backend: str) -> None:
            if backend == "swarm":
                stack.enter_context(engines.swarm(engine))

        yield made


@pytest.fixture
def reconciler(prepared: Callable[[str], None]) -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def deploy(workspace: Workspace, operator: User, engine: docker.DockerClient) -> Deploy:
    def deployed(
        image: str,
        config: Any = None,
        *,
        backend: str = "docker",
        replicas: int = 1,
        transformer: Transformer | None = None,
        explainer: Explainer | None = None,
    ) -> Deployment:
        return services.create_deployment(
            workspace=workspace,
            name="Bring your own",
            model_version=version_of(workspace, operator, image),
            by=operator,
            backend=backend,
            config=config,
            transformer=transformer,
            explainer=explainer,
            run=services.RunSettings(memory_mb=256, min_replicas=replicas, max_replicas=replicas),
        )

    return deployed

"""From an upload of another framework to answers: unpacked, answered for, served."""

from collections.abc import Iterator

import numpy as np
import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments import model_client
from apps.deployments.models import Replica
from apps.deployments.reconcile import Reconciler
from apps.registry import archives
from apps.registry import services as registry
from tests.deployments.kept import ANSWERS, added, deployed, run

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.mark.parametrize("name", ["columns.txt", "digits-state-dict.zip", "columns-mlflow.zip"])
def test_an_upload_is_served_in_the_packages_of_its_framework(
    name: str, workspace: Workspace, owner: User, reconciler: Reconciler
) -> None:
    version = added(name, workspace, owner)
    if version.is_blocked:
        registry.override_scan(version=version, reason="We wrote it.", by=owner)
    deployment = deployed(version, owner)
    run(reconciler, deployment, "active")
    replica = Replica.objects.get(component__revision__deployment=deployment, state="ready")
    found = model_client.predict(replica.address, ANSWERS[name]["instances"])
    np.testing.assert_allclose(found, ANSWERS[name]["expected"], rtol=0, atol=1e-6)


def test_a_model_with_code_of_its_own_waits_for_an_answer(
    workspace: Workspace, owner: User
) -> None:
    version = added("digits-state-dict.zip", workspace, owner)
    with pytest.raises(Invalid, match=r"loading it would use module\.py"):
        deployed(version, owner)


def test_an_archive_that_cannot_be_unpacked_fails_the_revision_with_the_cause(
    workspace: Workspace, owner: User, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = added("columns-mlflow.zip", workspace, owner)
    monkeypatch.setattr("apps.serving.archives.MOST_FILES", 1)
    archives.forget(set(), before=2**40)
    deployment = deployed(version, owner)
    with pytest.raises(pytest.fail.Exception, match="The archive cannot be used. It holds"):
        run(reconciler, deployment, "active")

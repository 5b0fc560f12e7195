"""What ended model servers leave on disk goes after a week; the newest logs stay readable."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import Schedule

from apps.accounts.models import User, Workspace
from apps.core.ids import uuid7
from apps.dashboard import schedules
from apps.deployments.backends.base import Handle, ReplicaSpec
from apps.deployments.backends.process import ProcessBackend, name_of
from apps.deployments.models import Component, Deployment, Replica
from apps.deployments.tasks import remove_old_replicas
from apps.registry import storage
from apps.serving.spec import ServerSpec
from tests.deployments.test_process_backend import logistic, wait_ready
from tests.predictions.records import make_deployment

pytestmark = pytest.mark.django_db
State = Replica.State


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    found: Path = settings.VAR_DIR / "replicas"
    return found


@pytest.fixture
def deployment(workspace: Workspace, operator: User, tmp_path: Path) -> Deployment:
    return make_deployment(workspace, "Credit risk", operator, tmp_path)


def age(directory: Path, days: float) -> None:
    """As if nothing had been written there since."""
    then = time.time() - timedelta(days=days).total_seconds()
    for path in (*directory.glob("*"), directory):
        os.utime(path, (then, then), follow_symlinks=False)


def ended(folder: Path, of: Deployment, days: float, state: str = State.STOPPED) -> Replica:
    """A row and a directory of a server that said its last words some days ago."""
    component = Component.objects.get(revision__deployment=of)
    then = timezone.now() - timedelta(days=days)
    made = Replica.objects.create(component=component, state=state, state_at=then)
    directory = folder / name_of(made.id)
    directory.mkdir(parents=True)
    (directory / "server.log").write_text("last words")
    made.handle = {"directory": str(directory), "pid": 2**22 + 1, "created": 0}
    made.save()
    age(directory, days)
    return made


def readable(*replicas: Replica) -> list[bool]:
    return [ProcessBackend().log(replica.handle) == "last words" for replica in replicas]


def test_the_newest_few_of_a_deployment_keep_their_logs(
    folder: Path, deployment: Deployment
) -> None:
    old = [ended(folder, deployment, days) for days in range(20, 8, -2)]
    assert remove_old_replicas() == 1
    assert readable(*old) == [False] + [True] * 5
    assert remove_old_replicas() == 0


def test_what_ended_within_a_week_stays(folder: Path, deployment: Deployment) -> None:
    lately = [ended(folder, deployment, 1 + hour / 24) for hour in range(8)]
    failed = [ended(folder, deployment, 6, State.FAILED) for _ in range(3)]
    assert remove_old_replicas() == 0
    assert all(readable(*lately, *failed))


def test_a_server_that_lives_keeps_its_directory_however_quiet_it_is(
    folder: Path, deployment: Deployment
) -> None:
    """Its process may run where this one cannot see it: in another container."""
    living = [
        ended(folder, deployment, 90, state)
        for state in (State.STARTING, State.READY, State.DRAINING)
    ]
    for _ in range(6):
        ended(folder, deployment, 30)
    assert remove_old_replicas() == 1
    assert all(readable(*living))


def test_of_a_deleted_deployment_nothing_stays_for_long(
    folder: Path, deployment: Deployment
) -> None:
    old, late = ended(folder, deployment, 8), ended(folder, deployment, 2)
    Deployment.objects.update(desired=Deployment.Desired.DELETED)
    assert remove_old_replicas() == 1
    assert readable(old, late) == [False, True]


def test_a_start_that_nobody_knows_of_goes_too(folder: Path, settings: Any) -> None:
    for days in (8, 1):
        (folder / f"{days:012}").mkdir(parents=True)
        age(folder / f"{days:012}", days)
    assert remove_old_replicas() == 1
    assert [path.name for path in folder.iterdir()] == [f"{1:012}"]


def test_the_server_of_a_trial_keeps_its_directory(
    folder: Path, deployment: Deployment, settings: Any
) -> None:
    settings.SERVERS_BESIDE = ["tests.deployments.test_leftovers.trials"]
    trial, other = (folder / name for name in ("trial", "other"))
    for directory in (trial, other):
        directory.mkdir(parents=True)
        age(directory, 8)
    assert remove_old_replicas() == 1
    assert trial.exists()


def trials() -> list[Handle]:
    return [{"directory": "/elsewhere/replicas/trial"}]


@pytest.mark.slow
def test_a_process_without_a_row_keeps_its_directory_until_it_ends(tmp_path: Path) -> None:
    artifact = storage.store([logistic(tmp_path)])
    spec = ServerSpec("m", "sklearn", "joblib", str(artifact.path))
    backend = ProcessBackend()
    handle = backend.start(ReplicaSpec(uuid7(), spec, memory_bytes=2 * 1024**3))
    wait_ready(backend, handle)
    directory, socket = Path(handle["directory"]), Path(handle["socket"])
    age(directory, 30)
    assert remove_old_replicas() == 0
    backend.stop(handle, grace_seconds=2)
    assert remove_old_replicas() == 0
    age(directory, 30)
    assert remove_old_replicas() == 1
    assert not directory.exists()
    assert not socket.parent.exists()


def test_the_worker_does_it_every_day() -> None:
    schedules.ensure()
    found = Schedule.objects.get(name="Old model servers")
    assert found.schedule_type == Schedule.DAILY
    assert import_string(found.func) is remove_old_replicas

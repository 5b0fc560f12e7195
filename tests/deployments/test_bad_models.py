"""Models that are slow, crash, or mean harm: each fails in words, and nobody else notices."""

import json
import os
import pickle
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import xgboost
from django.conf import settings
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.core.errors import Invalid
from apps.deployments import model_client, services
from apps.deployments.backends import backend_named, log_keeper
from apps.deployments.environments import performing
from apps.deployments.models import Deployment, EnvironmentBuild, Replica, Revision
from apps.deployments.reconcile import Reconciler
from apps.deployments.services import RunSettings
from apps.registry import services as registry
from apps.registry.models import Model, ModelVersion
from apps.registry.services import Upload

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
METADATA = {
    "features": [{"name": "a", "type": "number"}, {"name": "b", "type": "number"}],
    "exampleInput": {"instances": [{"a": 0.0, "b": 1.0}]},
}
ROW = [{"a": 0.0, "b": 1.0}]
Add = Callable[..., ModelVersion]


class Runs:
    """Unpickled, runs a script and becomes the model."""

    def __init__(self, script: str) -> None:
        self.script = script

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("exec(script, {}) or model", {"script": self.script, "model": trained()})


def trained() -> LogisticRegression:
    return LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])


@pytest.fixture
def reconciler() -> Iterator[Reconciler]:
    made = Reconciler()
    yield made
    made.stop_everything(timezone.now())


@pytest.fixture
def model(workspace: Workspace, operator: User) -> Model:
    return registry.create_model(workspace=workspace, name="Logistic", by=operator)


@pytest.fixture
def add(model: Model, operator: User) -> Add:
    """A version of the model that runs `script` while it is loaded, with the scan overridden."""

    def added(script: str = "", content: bytes = b"", name: str = "m.pkl") -> ModelVersion:
        artifact = Upload(name, [content or pickle.dumps(Runs(script))])
        version = registry.add_version(
            model=model, artifact=artifact, metadata=METADATA, by=operator
        )
        if version.is_blocked:
            registry.override_scan(version=version, reason="A test", by=operator)
        return version

    return added


@pytest.fixture
def deploy(workspace: Workspace, operator: User) -> Callable[..., Deployment]:
    def deployed(version: ModelVersion, **run: int) -> Deployment:
        return services.create_deployment(
            workspace=workspace,
            name="Credit risk",
            model_version=version,
            run=RunSettings(**run),
            by=operator,
        )

    return deployed


@pytest.fixture
def serving(add: Add, deploy: Callable[..., Deployment], reconciler: Reconciler) -> Deployment:
    """A deployment whose first revision serves."""
    deployment = deploy(add(content=pickle.dumps(trained())))
    until(reconciler, deployment, 1, "active")
    return deployment


def until(
    reconciler: Reconciler, deployment: Deployment, number: int, state: str, seconds: float = 60
) -> Revision:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reconciler.tick(timezone.now())
        revision = deployment.revisions.get(number=number)
        if revision.state == state:
            return revision
        time.sleep(0.1)
    pytest.fail(f"{revision.state}, not {state}: {revision.error}\n{revision.error_log}")


def replica_of(revision: Revision) -> Replica:
    return Replica.objects.get(component__revision=revision, state=Replica.State.READY)


CRASHES = {
    "exit": ("import os; os._exit(7)", "exit code 7"),
    "system exit": ("import sys; sys.exit(0)", "ends the process while it is loaded"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "SIGSEGV: code of the model"),
    "abort": ("import os; os.abort()", "SIGABRT.*more memory"),
    "memory": ("x = bytearray(8 * 1024**3)", "more memory than its model server was given"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "fork": ("import os; os.fork()", "PermissionError.*not permitted"),
    "shell": ("import subprocess; subprocess.run(['/bin/true'])", "PermissionError"),
    "files": (
        "import os, tempfile; x = [tempfile.TemporaryFile() for _ in range(10_000)]",
        "Too many open files",
    ),
    "one large file": (
        "import os; f = open(os.environ['TMPDIR'] + '/x', 'wb'); f.truncate(10 * 1024**3)",
        "File too large",
    ),
    "unknown module": ("import a_package_of_theirs", "a_package_of_theirs, which is not installed"),
}


@pytest.mark.parametrize(("script", "message"), CRASHES.values(), ids=CRASHES)
def test_a_model_that_crashes_on_load_fails_in_words(
    script: str,
    message: str,
    add: Add,
    deploy: Callable[..., Deployment],
    reconciler: Reconciler,
) -> None:
    deployment = deploy(add(script), memory_mb=1024)
    failed = until(reconciler, deployment, 1, "failed")
    assert re.search(message, failed.error), failed.error


FILLS = """
import os, time
for number in range(50):
    f = open(os.environ["TMPDIR"] + f"/{number}", "wb")
    os.posix_fallocate(f.fileno(), 0, 200 * 1024**2)
    if %r:
        os.unlink(f.name)
        globals()[f"kept{number}"] = f
    time.sleep(0.1)
"""


@pytest.mark.parametrize("hidden", [False, True], ids=["in the open", "in deleted files"])
def test_a_model_that_fills_the_disk_is_ended(
    hidden: bool, add: Add, deploy: Callable[..., Deployment], reconciler: Reconciler
) -> None:
    deployment = deploy(add(FILLS % hidden))
    failed = until(reconciler, deployment, 1, "failed")
    assert "wrote more than 1,024 MB" in failed.error
    assert "wrote more than 1,024 MB" in failed.error_log


def test_a_model_that_says_too_much_serves_with_a_bounded_log(
    add: Add, deploy: Callable[..., Deployment], reconciler: Reconciler
) -> None:
    script = "for _ in range(1000): print('x' * 99 * 1024)\nprint('the last words')"
    deployment = deploy(add(script))
    replica = replica_of(until(reconciler, deployment, 1, "active"))
    assert model_client.predict(replica.address, ROW)
    kept = sum(path.stat().st_size for path in Path(replica.handle["directory"]).glob("*.log*"))
    assert kept <= 2 * log_keeper.FULL_BYTES
    assert "the last words" in backend_named("process").log(replica.handle)


def test_the_old_revision_serves_while_the_new_one_loads_for_long(
    serving: Deployment, add: Add, operator: User, reconciler: Reconciler
) -> None:
    old = replica_of(serving.revisions.get(number=1))
    version = add("import time; time.sleep(12)")
    services.create_revision(deployment=serving, model_version=version, by=operator)
    starting = until(reconciler, serving, 2, "starting")
    began, answers, messages = time.monotonic(), 0, set()
    while starting.state == "starting":
        answers += len(model_client.predict(old.address, ROW))
        reconciler.tick(timezone.now())
        for coming in Replica.objects.filter(component__revision=starting).exclude(address=""):
            try:
                messages.add(model_client.readiness(coming.address)[1])
            except model_client.Unreachable:
                continue
        starting.refresh_from_db()
        time.sleep(0.1)
    assert until(reconciler, serving, 2, "active")
    assert time.monotonic() - began > 10
    assert answers > 20
    assert "The model has been loading for 5 s" in messages
    new = replica_of(serving.revisions.get(number=2))
    assert "Still loading after 10 s" in backend_named("process").log(new.handle)


def test_a_model_that_takes_longer_than_it_may_is_given_up(
    serving: Deployment, add: Add, operator: User, reconciler: Reconciler
) -> None:
    version = add("import time; time.sleep(60)")
    run = RunSettings(load_timeout_seconds=5)
    services.create_revision(deployment=serving, model_version=version, run=run, by=operator)
    began = time.monotonic()
    failed = until(reconciler, serving, 2, "failed", seconds=20)
    assert time.monotonic() - began < 15
    assert "not ready within 5 seconds" in failed.error
    assert model_client.predict(replica_of(serving.revisions.get(number=1)).address, ROW)


@pytest.mark.parametrize("format_", ["joblib", "pkl", "skops"])
def test_a_model_of_a_much_newer_version_says_which_version_serves_it(
    format_: str,
    add: Add,
    deploy: Callable[..., Deployment],
    reconciler: Reconciler,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = trained()
    newer.weights_ = newer.__dict__.pop("coef_")  # as if the attribute had been renamed since
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "9.9.0")
        path = tmp_path / f"m.{format_}"
        writers = {"joblib": joblib.dump, "skops": skops.io.dump}
        write = writers.get(format_, lambda m, p: p.write_bytes(pickle.dumps(m)))
        write(newer, path)
    version = add(content=path.read_bytes(), name=path.name)
    assert version.framework_version == "9.9.0"
    deployment = deploy(version)
    until(reconciler, deployment, 1, "building")
    for build in EnvironmentBuild.objects.filter(state=EnvironmentBuild.State.PENDING):
        performing.perform(build.id)
    failed = until(reconciler, deployment, 1, "failed")
    assert "saved with scikit-learn 9.9.0; save it again with 1.9" in failed.error


def test_foreign_types_of_a_skops_file_serve_once_somebody_trusts_them(
    model: Model,
    operator: User,
    deploy: Callable[..., Deployment],
    reconciler: Reconciler,
    tmp_path: Path,
) -> None:
    wrapper = xgboost.XGBClassifier(n_estimators=3, n_jobs=1)
    wrapper.fit(np.array([[0.0, 1.0], [1.0, 0.0]] * 4), [0, 1] * 4)
    skops.io.dump(wrapper, tmp_path / "m.skops")
    artifact = Upload("m.skops", [(tmp_path / "m.skops").read_bytes()])
    version = registry.add_version(model=model, artifact=artifact, metadata=METADATA, by=operator)
    with pytest.raises(Invalid, match=r"xgboost\.sklearn\.XGBClassifier"):
        deploy(version)
    registry.override_scan(version=version, reason="Made with xgboost itself", by=operator)
    replica = replica_of(until(reconciler, deploy(version), 1, "active"))
    expected = wrapper.predict_proba(np.array([[0.0, 1.0]])).tolist()
    assert model_client.predict(replica.address, ROW) == expected


def test_a_file_that_is_no_model_is_refused_before_it_is_a_version(add: Add) -> None:
    with pytest.raises(Invalid, match="neither a pickle, joblib or skops file"):
        add(content=b"%PDF-1.7 a report", name="report.pdf")
    assert not ModelVersion.objects.exists()


ATTEMPTS = """
import ctypes, json, os, socket
from pathlib import Path

def tried(act):
    try:
        act()
    except BaseException as error:
        return type(error).__name__
    return "done"

def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)

def memory_of(pid):
    with open(f"/proc/{pid}/mem", "rb") as f:
        f.read(1)

found = {
    "secret key": tried(lambda: Path(SECRETS, "secret-key").read_text()),
    "list of secrets": tried(lambda: os.listdir(SECRETS)),
    "database": tried(lambda: connect(socket.AF_UNIX, POSTGRES)),
    "database files": tried(lambda: os.listdir(VAR)),
    "settings": tried(lambda: Path(BASE, "deeploy_site/settings.py").read_text()),
    "environment of the controller": tried(lambda: Path(f"/proc/{PARENT}/environ").read_bytes()),
    "memory of the controller": tried(lambda: memory_of(PARENT)),
    "signal": tried(lambda: os.kill(PARENT, 0)),
    "tcp": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", PORT))),
    "udp": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", 53), socket.SOCK_DGRAM)),
    "raw": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "listen": tried(lambda: socket.create_server(("127.0.0.1", 0))),
    "shell": tried(lambda: os.execv("/bin/sh", ["sh", "-c", "true"])),
    "fork": tried(os.fork),
    "spawn": tried(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "other replica": tried(lambda: connect(socket.AF_UNIX, OTHER + "/run/s")),
    "files of the other": tried(lambda: os.listdir(OTHER)),
    "specification of the other": tried(lambda: Path(OTHER, "spec.json").read_text()),
    "log of the other": tried(lambda: Path(OTHER, "server.log").read_text()),
    "temporary files of the other": tried(lambda: Path(OTHER, "tmp", "x").write_text("x")),
    "artifacts": tried(lambda: os.listdir(Path(VAR, "artifacts"))),
    "root": tried(lambda: os.setuid(0) if os.getuid() else Path("/etc/shadow").read_text()),
    "mount": tried(lambda: 1 / (ctypes.CDLL(None).unshare(0x20000) == 0)),
}
names = sorted(os.environ)
raise RuntimeError(json.dumps({"found": found, "environment": names}))
"""


def test_a_pickle_that_means_harm_is_blocked_and_even_then_reaches_nothing(
    serving: Deployment, model: Model, operator: User, reconciler: Reconciler
) -> None:
    settings.SECRET_KEY  # noqa: B018  makes the file that must not be read
    with socket.create_server(("127.0.0.1", 0)) as listener:
        values = {
            "SECRETS": str(settings.VAR_DIR / "secrets"),
            "POSTGRES": settings.DATABASES["default"]["HOST"] + "/.s.PGSQL.5432",
            "VAR": str(settings.VAR_DIR),
            "BASE": str(settings.BASE_DIR),
            "PARENT": os.getpid(),
            "PORT": listener.getsockname()[1],
            "OTHER": replica_of(serving.revisions.get(number=1)).handle["directory"],
        }
        head = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        artifact = Upload("m.pkl", [pickle.dumps(Runs(head + ATTEMPTS))])
        version = registry.add_version(
            model=model, artifact=artifact, metadata=METADATA, by=operator
        )
        with pytest.raises(Invalid, match="eval"):
            services.create_revision(deployment=serving, model_version=version, by=operator)
        registry.override_scan(version=version, reason="A test of the locks", by=operator)
        services.create_revision(deployment=serving, model_version=version, by=operator)
        failed = until(reconciler, serving, 2, "failed")
    report = json.loads(failed.error[failed.error.index("{") :])
    assert {name for name, outcome in report["found"].items() if outcome == "done"} == set()
    assert not {"DATABASE_URL", "SECRET_KEY", "VAR_DIR"} & set(report["environment"])
    assert model_client.predict(replica_of(serving.revisions.get(number=1)).address, ROW)

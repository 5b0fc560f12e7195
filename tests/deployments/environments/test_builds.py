"""Builds of real virtual environments: made, refused, cancelled, begun anew, removed."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection
from django.utils import timezone

from apps.audit.actor import SYSTEM, Actor
from apps.audit.models import Event
from apps.core.errors import Conflict
from apps.deployments.backends import dockerfiles
from apps.deployments.environments import (
    build_log,
    builds,
    lists,
    locks,
    performing,
    pip,
    pip_errors,
    venv,
)
from apps.deployments.environments.builders import builder_of
from apps.deployments.models import Environment, EnvironmentBuild
from tests.deployments.environments.conftest import Make
from tests.deployments.environments.wheels import make_index, make_wheel
from tests.live import ROOT, database_url

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PERSON = Actor("user", "1", "Ada")


def perform(build: EnvironmentBuild) -> str:
    outcome = performing.perform(build.id)
    if EnvironmentBuild.objects.filter(pk=build.pk).exists():
        build.refresh_from_db()
        build.environment.refresh_from_db()
    return outcome


def version_of(build: EnvironmentBuild, module: str = "little") -> str:
    command = [
        f"{build.location}/bin/python",
        "-c",
        f"import {module}; print({module}.__version__)",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_list_becomes_an_environment(make: Make, wheels: Path) -> None:
    build = make("little==1.0")
    assert perform(build) == "ready"
    assert version_of(build) == "1.0"
    assert build.size
    assert builder_of("venv").exists(build.location)
    assert "Successfully installed little-1.0" in build_log.tail(build.environment.digest, "venv")
    assert Event.objects.get(name="environment.built").object_name == "Small"
    assert list(venv.folder().glob("*.partial")) == []


def test_what_is_ready_is_not_built_again(make: Make, wheels: Path) -> None:
    build = make("little==1.0")
    perform(build)
    assert perform(build) == "nothing to do"


def test_lines_are_resolved_to_exact_versions_once(make: Make, wheels: Path) -> None:
    build = make("little", resolved=False)
    assert perform(build) == "ready"
    assert build.environment.requirements == "little==2.0"
    assert lists.is_resolved(build.environment)
    make_wheel(wheels, "little", "3.0")
    builds.rebuild(build=build, now=timezone.now())
    perform(build)
    assert version_of(build) == "2.0"


def test_lines_that_come_to_a_known_list_share_its_environment(make: Make, wheels: Path) -> None:
    known = make("little==2.0")
    perform(known)
    other = make("little>1", resolved=False)
    assert perform(other) == "its list is that of another environment"
    assert list(Environment.objects.all()) == [known.environment]


FAILURES = [
    (("little==9.0",), "There is no little==9.0 for Python"),
    (("nowhere==1.0",), "No package called nowhere was found"),
    (
        ("little==1.0", "needy==1.0"),
        "needy==1.0 and little==1.0 exclude each other: little==1.0 is asked for, but needy 1.0 ",
    ),
    (("other==2.0",), "other is not made for Python"),
    (("raw==1.0",), "raw==1.0 comes only as source code"),
    (("other==3.0",), "other==3.0 has no wheel for Python"),
]


@pytest.mark.parametrize(("lines", "reason"), FAILURES)
def test_a_failing_build_says_which_package_and_why(
    lines: tuple[str, ...], reason: str, make: Make, wheels: Path
) -> None:
    make_wheel(wheels, "needy", "1.0", needs=("little>=2",))
    make_wheel(wheels, "other", "1.0")
    make_wheel(wheels, "other", "2.0", python=">=4")
    (wheels / "other-3.0-cp27-cp27m-win32.whl").write_bytes(b"")
    (wheels / "raw-1.0.tar.gz").write_bytes(b"")
    build = make(*lines)
    assert perform(build) == "failed"
    assert reason in build.error
    assert reason in build_log.tail(build.environment.digest, "venv")
    assert list(venv.folder().glob("*/")) == []


def test_a_build_for_cuda_that_fails_says_where_the_one_for_processors_is(
    make: Make, wheels: Path
) -> None:
    make_wheel(wheels, "torch", "2.0", needs=("nvidia-cublas==13.0",))
    build = make("torch==2.0")
    assert perform(build) == "failed"
    assert "nvidia-cublas" in build.error
    assert "set PACKAGE_EXTRA_INDEX_URL" in build.error


def test_only_a_build_for_cuda_is_told_of_the_other() -> None:
    said = "Collecting nvidia-cudnn-cu13==9.1 (from torch==2.0)"
    assert "PACKAGE_WHEELS" in pip_errors.of_cuda(["little==1.0", "torch==2.0"], said)
    assert pip_errors.of_cuda(["little==1.0"], said) == ""
    assert pip_errors.of_cuda(["torch==2.0"], "Collecting torch==2.0") == ""


def test_the_second_index_is_asked_beside_the_first(
    make: Make, tmp_path: Path, settings: Any
) -> None:
    for place, version in (("PACKAGE_INDEX_URL", "2.0"), ("PACKAGE_EXTRA_INDEX_URL", "2.0+cpu")):
        wheel = make_wheel(tmp_path / place / "files", "torch", version)
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        setattr(settings, place, make_index(tmp_path / place / "index", wheel, sha256=sha256))
    settings.PACKAGE_WHEELS = ""
    build = make("torch==2.0")
    assert perform(build) == "ready", build.error
    assert version_of(build, "torch") == "2.0+cpu"


def test_an_index_that_is_away_is_named_as_such(make: Make, settings: Any) -> None:
    settings.PACKAGE_INDEX_URL = "http://127.0.0.1:9/simple"
    os.environ["PIP_RETRIES"] = "0"
    try:
        build = make("little==1.0")
        assert perform(build) == "failed"
    finally:
        del os.environ["PIP_RETRIES"]
    assert "could not be reached" in build.error


def test_a_file_with_another_checksum_is_refused(
    make: Make, wheels: Path, tmp_path: Path, settings: Any
) -> None:
    settings.PACKAGE_WHEELS = ""
    wheel = wheels / "little-1.0-py3-none-any.whl"
    settings.PACKAGE_INDEX_URL = make_index(tmp_path / "index", wheel, sha256="0" * 64)
    build = make("little==1.0")
    assert perform(build) == "failed"
    assert "little==1.0 does not have the checksum" in build.error


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    make: Make, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venv, "_SPARE_BYTES", 1 << 60)
    build = make("little==1.0")
    assert perform(build) == "failed"
    assert "The disk of VAR_DIR has" in build.error


def test_a_build_has_its_time(make: Make, wheels: Path, settings: Any) -> None:
    settings.ENVIRONMENT_BUILD_SECONDS = 0
    build = make("little==1.0")
    assert perform(build) == "failed"
    assert "ENVIRONMENT_BUILD_SECONDS" in build.error


def test_the_build_sees_no_secret_of_ours(
    make: Make, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    (venv.folder() / "w").mkdir()
    names = set(pip.variables(venv.folder() / "w"))
    assert not {"SECRET_KEY", "DATABASE_URL", "VAR_DIR", "ENCRYPTION_KEY"} & names
    assert {"PATH", "PIP_FIND_LINKS", "PIP_NO_INDEX"} <= names


class Stalled:
    """An index that accepts connections and says nothing."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/simple"


@pytest.fixture
def stalled(settings: Any) -> Iterator[Stalled]:
    server = Stalled()
    settings.PACKAGE_INDEX_URL = server.url
    yield server
    server.listener.close()


def in_thread(build: EnvironmentBuild) -> threading.Thread:
    def work() -> None:
        try:
            performing.perform(build.id)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: locks.is_building(build.id))
    return thread


def wait_for(done: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def pips(build: EnvironmentBuild) -> list[str]:
    """The processes that work on a build."""
    lines = (" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"]))
    return [line for line in lines if build.environment.digest in line]


def test_a_cancelled_build_ends_within_two_seconds(make: Make, stalled: Stalled) -> None:
    build = make("little==1.0")
    thread = in_thread(build)
    wait_for(lambda: any("pip" in line for line in pips(build)))
    builds.cancel(build=build, by=PERSON, now=timezone.now())
    asked = time.monotonic()
    wait_for(lambda: not pips(build))
    assert time.monotonic() - asked < 2
    thread.join()
    build.refresh_from_db()
    assert (build.state, build.error) == ("cancelled", "Ada cancelled it.")
    assert Event.objects.get(name="environment.cancelled").actor_name == "Ada"


def test_two_builders_never_build_at_once(make: Make, stalled: Stalled) -> None:
    build, other = make("little==1.0"), make("little==2.0")
    thread = in_thread(build)
    assert performing.perform(build.id) == "another build is under way"
    assert performing.perform(other.id) == "another build is under way"
    builds.cancel(build=build, by=PERSON, now=timezone.now())
    thread.join()
    assert not locks.somebody_builds()


WORK = """
import django, os, sys
django.setup()
from django.conf import settings
settings.PACKAGE_INDEX_URL = sys.argv[2]
from apps.deployments.environments import performing
performing.perform(__import__("uuid").UUID(sys.argv[1]))
"""


def test_a_build_whose_builder_was_killed_is_begun_anew(
    make: Make, stalled: Stalled, wheels: Path, settings: Any
) -> None:
    build = make("little==1.0")
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "deeploy_site.settings",
    }
    command = [sys.executable, "-c", WORK, str(build.id), stalled.url]
    builder = subprocess.Popen(command, cwd=ROOT, env=environment)
    wait_for(lambda: any("pip" in line for line in pips(build)), 30)
    os.kill(builder.pid, signal.SIGKILL)
    builder.wait()
    wait_for(lambda: not pips(build), 5)
    build.refresh_from_db()
    assert build.state == "building"
    builds.recover(now=timezone.now() + timedelta(seconds=10))
    build.refresh_from_db()
    assert build.state == "pending"
    settings.PACKAGE_INDEX_URL, settings.PACKAGE_WHEELS = "", str(wheels)
    assert perform(build) == "ready"
    assert list(venv.folder().glob("*.partial")) == []


def test_a_damaged_environment_is_noticed_and_built_again(make: Make, wheels: Path) -> None:
    build = make("little==1.0")
    perform(build)
    record = next(Path(build.location).glob("lib/*/site-packages/little-1.0.dist-info/RECORD"))
    record.unlink()
    assert not builder_of("venv").exists(build.location)
    builds.rebuild(build=build, now=timezone.now())
    assert perform(build) == "ready"
    assert builder_of("venv").exists(build.location)
    assert Event.objects.filter(name="environment.lost").count() == 1


def test_a_failed_build_is_tried_again_on_request(make: Make, wheels: Path) -> None:
    build = make("little==4.0")
    perform(build)
    make_wheel(wheels, "little", "4.0")
    builds.retry(build=build, by=PERSON, now=timezone.now())
    assert perform(build) == "ready"
    with pytest.raises(Conflict, match="failed or was cancelled"):
        builds.retry(build=build, by=PERSON, now=timezone.now())


def test_what_nothing_uses_is_collected_after_its_days(make: Make, wheels: Path) -> None:
    build = make("little==1.0")
    perform(build)
    now = timezone.now()
    assert builds.collect(now=now + timedelta(days=13)) == 0
    assert Path(build.location).exists()
    assert builds.collect(now=now + timedelta(days=15)) == 1
    assert not Path(build.location).exists()
    assert not Environment.objects.exists()
    assert Event.objects.get(name="environment.removed").actor_kind == "system"


def test_directories_that_no_build_knows_are_swept(make: Make, wheels: Path) -> None:
    build = make("little==1.0")
    perform(build)
    left = venv.folder() / "left.behind.partial"
    left.mkdir()
    builds.collect(now=timezone.now() + timedelta(days=2))
    assert not left.exists()
    assert Path(build.location).exists()


def test_a_build_under_way_is_not_removed(make: Make) -> None:
    with pytest.raises(Conflict, match="under way"):
        builds.remove(build=make("little==1.0"), by=SYSTEM)


def test_the_older_half_of_a_long_log_goes(tmp_path: Path) -> None:
    with build_log.BuildLog(tmp_path / "log") as log:
        for number in range(60_000):
            log.write(f"{number} {'x' * 60}")
    text = (tmp_path / "log").read_text()
    assert len(text) <= 2 * 1024**2 + 100
    assert text.startswith("Older lines were left out.")
    assert text.splitlines()[-1].startswith("59999 ")


def test_an_image_gets_the_second_index_and_forgets_its_password(settings: Any) -> None:
    settings.PACKAGE_INDEX_URL = settings.PACKAGE_WHEELS = ""
    settings.PACKAGE_EXTRA_INDEX_URL = "https://me:secret@index.example/cpu"
    files = dockerfiles.environment("torch==2.0", "mark", {})
    assert f"extra-index-url = {settings.PACKAGE_EXTRA_INDEX_URL}" in files["pip.conf"].decode()
    last_stage = files["Dockerfile"].decode().rpartition("FROM ")[2]
    assert "COPY --from=build /opt/environment" in last_stage
    assert "pip.conf" not in last_stage

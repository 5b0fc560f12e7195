"""With which locks a model server runs as a process: what the launcher is told."""

import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.deployments.backends import seccomp
from apps.deployments.backends.base import ReplicaSpec

FIRST_UID = 1_500_000
# Beside a model server that wants the processor an explainer gets about a third of its share.
_EXPLAINER_NICE = 5
_MOST_FILE_BYTES = 256 * 1024**2
_READABLE = [
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf",
    "/etc/passwd", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/self",
    "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/urandom",
]  # fmt: skip


def launcher_config(
    spec: ReplicaSpec, directory: Path, socket: Path, isolation: dict[str, Any]
) -> dict[str, Any]:
    threads = str(spec.server.limits.threads)
    tmp = str(directory / "tmp")
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": tmp,
        "TMPDIR": tmp,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(directory / "code"),
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "JOBLIB_MULTIPROCESSING": "0",
    }
    environment |= {
        name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_CORE")
    }
    limits = {
        "RLIMIT_DATA": spec.memory_bytes,
        "RLIMIT_NOFILE": 4096,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": _MOST_FILE_BYTES,
    }
    if isolation["uid"] is not None:
        limits["RLIMIT_NPROC"] = 64
    return {
        "nice": _EXPLAINER_NICE if spec.server.explaining else 0,
        "uid": isolation["uid"],
        "directory": str(directory / "code"),
        "command": [
            _interpreter(spec),
            "-m",
            "apps.serving",
            "--spec",
            str(directory / "spec.json"),
        ],
        "environment": environment,
        "limits": limits,
        "landlock": _landlock_rules(spec, directory, socket) if isolation["landlock"] else None,
        "filter": seccomp.program().hex() if isolation["filter"] else None,
    }


def _landlock_rules(spec: ReplicaSpec, directory: Path, socket: Path) -> dict[str, list[str]]:
    paths = sysconfig.get_paths()
    interpreter = _interpreter(spec)
    own = [spec.environment] if spec.environment else [sys.prefix, paths["purelib"]]
    return {
        "read": [
            *_READABLE,
            *own,
            sys.base_prefix,
            paths["stdlib"],
            str(Path(settings.BASE_DIR) / "apps" / "serving"),
            str(directory / "code"),
            str(directory / "spec.json"),
            spec.server.artifact,
            *_beside(spec),
        ],
        "execute": [os.path.realpath(interpreter), interpreter, *_loaders()],
        "write": [str(directory / "tmp"), str(socket.parent), "/dev/null"],
    }


def _beside(spec: ReplicaSpec) -> list[str]:
    """What an explainer reads beside the model's file."""
    explaining = spec.server.explaining
    return list(explaining.files.values()) if explaining else []


def _interpreter(spec: ReplicaSpec) -> str:
    """That of the environment, a virtual one of this Python, or the application's own."""
    return str(Path(spec.environment) / "bin" / "python") if spec.environment else sys.executable


@cache
def _loaders() -> tuple[str, ...]:
    """The dynamic loaders, which the kernel executes on the interpreter's behalf."""
    found = [*Path("/lib64").glob("ld-linux*"), *Path("/lib").glob("ld-*")]
    return tuple({os.path.realpath(path) for path in found})


@cache
def readable_by_others() -> bool:
    """True where another user may run the interpreter and read its packages and our code."""
    check = "import numpy, apps.serving"
    result = (
        subprocess.run(
            [sys.executable, "-c", check],
            user=FIRST_UID,
            group=FIRST_UID,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": str(settings.BASE_DIR), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
        )
        if _may_execute()
        else None
    )
    return result is not None and result.returncode == 0


def open_to_others(environment: str) -> bool:
    """True where another user may enter the environment.

    Told by file modes: its interpreter runs code of its packages, so it starts locked in or not
    at all.
    """
    path = Path(environment)
    return not environment or all(
        each.stat().st_mode & 0o005 == 0o005 if each == path else each.stat().st_mode & 0o001
        for each in (path, *path.parents)
    )


def _may_execute() -> bool:
    """False where a directory above the interpreter or the data is closed to other users."""
    paths = [Path(os.path.realpath(sys.executable)), Path(sys.executable), settings.VAR_DIR / "x"]
    return all(parent.stat().st_mode & 0o001 for path in paths for parent in path.parents)

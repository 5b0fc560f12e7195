"""Virtual environments under VAR_DIR/environments, for model servers that run as processes.

Built beside their place and renamed into it when complete, so that nothing half-made is ever
seen. Without pip, and its interpreter never runs here once packages are in it: a package may run
code whenever Python starts, and that code belongs into a model server, which is locked in.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from apps.deployments.environments import pip
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.commands import run
from apps.deployments.environments.outcome import BuildFailed, Built
from apps.deployments.models import Environment, EnvironmentBuild

_MANIFEST = "deeploy.json"
_SPARE_BYTES = 2 * 1024**3


def folder() -> Path:
    """Where the environments of this machine lie; others may enter it, not list it."""
    path: Path = settings.VAR_DIR / "environments"
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    return path


class VenvBuilder:
    """Makes VAR_DIR/environments/<digest>."""

    kind: str = EnvironmentBuild.Kind.VENV

    def build(
        self, environment: Environment, log: BuildLog, cancelled: Callable[[], bool]
    ) -> Built:
        home, target = folder(), folder() / environment.digest
        check_space(home)
        for left in home.glob(f"{environment.digest}.*.partial"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(".partial", f"{environment.digest}.", home))
        try:
            work.chmod(0o755)
            self._fill(work, target, environment, log, cancelled)
            size = _write_manifest(work / "venv")
            shutil.rmtree(target, ignore_errors=True)
            os.rename(work / "venv", target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        log.write(f"Ready: {size / 1024**2:,.0f} MB in {target}")
        return Built(str(target), size)

    def exists(self, location: str) -> bool:
        """The interpreter runs and every package that was installed still has its record."""
        path = Path(location)
        try:
            records = json.loads((path / _MANIFEST).read_text())["records"]
        except (OSError, ValueError, KeyError):
            return False
        interpreter = path / "bin" / "python"
        return os.access(interpreter, os.X_OK) and all((path / each).exists() for each in records)

    def remove(self, location: str) -> None:
        """Renamed first: a server that starts meanwhile finds all of it or nothing."""
        path = Path(location)
        if path.parent != folder() or not path.exists():
            return
        going = path.with_name(f"{path.name}.{time.time_ns()}.partial")
        os.rename(path, going)
        shutil.rmtree(going, ignore_errors=True)

    def _fill(
        self,
        work: Path,
        target: Path,
        environment: Environment,
        log: BuildLog,
        cancelled: Callable[[], bool],
    ) -> None:
        venv, deadline = work / "venv", time.monotonic() + settings.ENVIRONMENT_BUILD_SECONDS
        variables = pip.variables(work)

        def step(command: list[str], failed: str) -> None:
            code, _ = run(
                command, environment=variables, log=log, cancelled=cancelled, deadline=deadline
            )
            if code:
                raise BuildFailed(failed)

        log.write(f"Making a virtual environment of Python {environment.python}")
        step(
            [sys.executable, "-m", "venv", "--without-pip", str(venv)],
            "The virtual environment could not be made; the log says why. Debian needs the "
            "package python3-venv.",
        )
        pip.install(
            environment.requirements,
            interpreter=venv / "bin" / "python",
            work=work,
            log=log,
            cancelled=cancelled,
            deadline=deadline,
        )
        log.write("Compiling")
        compiling = [
            sys.executable,
            "-m",
            "compileall",
            "-q",
            "-j",
            "0",
            "-s",
            str(venv),
            "-p",
            str(target),
        ]
        code, _ = run(
            [*compiling, str(venv / "lib")],
            environment=variables,
            log=log,
            cancelled=cancelled,
            deadline=deadline,
        )
        if code:
            log.write("Some files were not compiled: they are not for this Python.")


def check_space(home: Path) -> None:
    """Raises BuildFailed where the disk has too little room for an environment."""
    free = shutil.disk_usage(home).free
    if free < _SPARE_BYTES:
        raise BuildFailed(
            f"The disk of VAR_DIR has {free / 1024**3:.1f} GB left, and an environment needs up "
            "to 2. Remove environments that nothing uses, or make room."
        )


def sweep(known: set[str], *, before: float) -> int:
    """Removes directories that no build knows and that are older than `before`; their number."""
    removed = 0
    for path in folder().iterdir():
        if path.is_dir() and str(path) not in known and path.stat().st_mtime < before:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def _write_manifest(venv: Path) -> int:
    """Notes what has to be there; returns the size of all files in bytes."""
    records = sorted(str(p.relative_to(venv)) for p in venv.glob("lib/*/site-packages/*.dist-info"))
    (venv / _MANIFEST).write_text(json.dumps({"records": [f"{r}/RECORD" for r in records]}))
    size = 0
    for root, _, files in os.walk(venv):
        size += sum(os.lstat(os.path.join(root, name)).st_size for name in files)
    return size

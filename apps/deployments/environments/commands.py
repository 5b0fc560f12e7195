"""Runs a program of a build: its lines into the log, ended on request, in time, with us."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

from apps.deployments.environments import keeper
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.outcome import TOO_LONG, BuildCancelled, BuildFailed

_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 1.0
_LINES_KEPT = 400


def run(
    command: list[str],
    *,
    environment: Mapping[str, str],
    log: BuildLog,
    cancelled: Callable[[], bool],
    deadline: float,
) -> tuple[int, list[str]]:
    """Exit code and last lines. Raises BuildCancelled, or BuildFailed after `deadline`.

    `deadline` is of the monotonic clock. `cancelled` is asked twice a second.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", keeper.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd="/",
        umask=0o022,
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    lines: list[str] = []
    pump = threading.Thread(target=_pump, args=(process.stdout, log, lines), daemon=True)
    pump.start()
    try:
        while process.poll() is None:
            if cancelled():
                raise BuildCancelled("It was cancelled.")
            if time.monotonic() > deadline:
                raise BuildFailed(TOO_LONG)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
    finally:
        _end(process)
        pump.join(_GRACE_SECONDS)
        process.stdin.close()
        process.stdout.close()
    return process.returncode, lines


def _pump(stream: IO[bytes], log: BuildLog, lines: list[str]) -> None:
    with suppress(ValueError):
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            log.write(line)
            lines.append(line)
            del lines[:-_LINES_KEPT]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: what the command started must not go on without it."""
    for number, patience in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
        if process.poll() is not None and number == signal.SIGTERM:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)

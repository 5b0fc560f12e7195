"""Runs a fetch in a process of its own: its lines into a log, ended on request, in time, with us.

The process gets its job on standard input and keeps that open; when we die it reads the end of it
and dies as well. It answers in lines of JSON: `{"log"}`, at the end `{"result"}` or `{"error"}`.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings

from apps.registry.sources.errors import FetchCancelled, SourceFailed

_LOOK_SECONDS = 0.25
_TRIAL_SECONDS = 20
_PASSED_ON = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
_BROKEN = "The fetch ended without a word; the worker may be short of memory. Try again."


def run_trial(kind: str, secret: dict[str, str]) -> dict[str, str]:
    """Connects with a credential, within 20 seconds. Raises SourceFailed.

    Gives the parts that it learnt, such as the key of an SSH host that was met first.
    """
    job = {"act": "trial", "kind": kind, "secret": secret}
    with tempfile.TemporaryDirectory(dir=_folder()) as target:
        learnt: dict[str, str] = run(job, Path(target), seconds=_TRIAL_SECONDS)
    return learnt


def run(
    job: dict[str, Any],
    target: Path,
    *,
    seconds: float,
    write: Callable[[str], None] = lambda line: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """What the job resulted in; its files lie in `target`. Raises SourceFailed, FetchCancelled."""
    given = {
        "target": str(target),
        "maxBytes": settings.UPLOAD_MAX_BYTES,
        "seconds": seconds,
        "settings": {
            "OUTBOUND_ALLOW": settings.OUTBOUND_ALLOW,
            "OUTBOUND_CA_BUNDLE": settings.OUTBOUND_CA_BUNDLE,
            "LOCAL_SOURCES": settings.LOCAL_SOURCES,
        },
    }
    process = _start(target)
    assert process.stdin is not None
    lines: SimpleQueue[bytes] = SimpleQueue()
    pump = threading.Thread(target=_pump, args=(process, lines), daemon=True)
    pump.start()
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job | given).encode() + b"\n")
            process.stdin.flush()
        return _follow(process, lines, time.monotonic() + seconds, write, cancelled)
    finally:
        _end(process, pump)


def _start(target: Path) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"HOME": str(target), "TMPDIR": str(target), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "apps.registry.sources.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=settings.BASE_DIR,
        umask=0o077,
        process_group=0,
    )


def _follow(
    process: subprocess.Popen[bytes],
    lines: "SimpleQueue[bytes]",
    deadline: float,
    write: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Any:
    last = ""
    while True:
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except Empty:
            if cancelled():
                raise FetchCancelled from None
            if time.monotonic() > deadline:
                raise SourceFailed(
                    "The fetch took longer than it may. Ask an administrator to raise "
                    "IMPORT_SECONDS, or fetch from a place nearer."
                ) from None
            continue
        if not line:
            raise SourceFailed(f"{_BROKEN} {last}".strip())
        try:
            said = json.loads(line)
        except ValueError:
            last = line.decode(errors="replace").strip()[:300]
            continue
        if "error" in said:
            raise SourceFailed(said["error"])
        if "result" in said:
            return said["result"]
        write(str(said.get("log", "")))


def _pump(process: subprocess.Popen[bytes], lines: "SimpleQueue[bytes]") -> None:
    assert process.stdout is not None
    with suppress(ValueError):
        for line in process.stdout:
            lines.put(line)
    lines.put(b"")


def _end(process: subprocess.Popen[bytes], pump: threading.Thread) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 9)
    process.wait()
    pump.join()
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()


def _folder() -> Path:
    folder: Path = settings.VAR_DIR / "imports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def workplace() -> "tempfile.TemporaryDirectory[str]":
    """A folder for one fetch, gone with it."""
    return tempfile.TemporaryDirectory(dir=_folder())

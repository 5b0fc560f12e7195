"""`manage.py up` as a process, in a VAR_DIR of its own, for tests from outside."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.live import ROOT, free_port


def new_var_dir() -> Path:
    """A directory that the database's own user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="deeploy-up-"))
    folder.chmod(0o755)
    return folder


def wait_for(done: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `done` returns once it is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
    return found


class Product:
    """One VAR_DIR with its starts, one after the other."""

    def __init__(self, **environment: str) -> None:
        self.var_dir = new_var_dir()
        self.port = free_port()
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> "Product":
        """Starts and returns when it says that it is ready."""
        self.process = self.launch(**more)
        wait_for(self._is_ready_or_over, 180, "ready")
        assert self.process.poll() is None, self.said
        return self

    def launch(self, **more: str) -> "subprocess.Popen[bytes]":
        # The test session's own database and static files are not this product's.
        kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "PRODUCTION")}
        kept.pop("PLAIN_STATIC_FILES", None)
        own = {"VAR_DIR": str(self.var_dir), "PORT": str(self.port)}
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=kept | own | self.environment | more,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def refused(self, **more: str) -> tuple[int, str]:
        """Exit code and words of a start that does not come up."""
        elsewhere, self.output_name = self.output_name, "second.txt"
        try:
            process = self.launch(**more)
            return process.wait(60), self.said
        finally:
            self.output_name = elsewhere

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(90)

    def remove(self) -> None:
        """Ends what may be left, when a test failed half-way."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        wait_for(lambda: not self.kill_all(), 10, "everything ended")
        shutil.rmtree(self.var_dir, ignore_errors=True)

    output_name = "up.txt"

    @property
    def output(self) -> Path:
        return self.var_dir / self.output_name

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def demo(self) -> dict[str, Any]:
        return json.loads((self.var_dir / "demo.json").read_text())

    def processes(self) -> list[psutil.Process]:
        """Every living process of this VAR_DIR, wherever it came from."""
        return [p for p in psutil.process_iter() if p.pid != os.getpid() and self._is_ours(p)]

    def recorded(self, name: str) -> psutil.Process | None:
        """The living process that the supervisor wrote down as web, worker, controller, guard."""
        try:
            found = json.loads((self.var_dir / "run" / f"{name}.json").read_text())
            process = psutil.Process(found["pid"])
        except (OSError, ValueError, psutil.Error):
            return None
        return process if lives(process) else None

    def kill_all(self) -> list[psutil.Process]:
        """SIGKILL to everything at once, as when the machine loses power; whom it met."""
        met = self.processes()
        for process in met:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process is not None:
            self.process.wait()
        return met

    def _is_ready_or_over(self) -> bool:
        assert self.process is not None
        return "Stop: Ctrl-C" in self.said or self.process.poll() is not None

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return lives(process) and str(self.var_dir) in _traces(process)
        except psutil.Error:
            return False


def lives(process: psutil.Process) -> bool:
    """False for a process that has ended, waited for or not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _traces(process: psutil.Process) -> str:
    return " ".join([*process.cmdline(), process.environ().get("VAR_DIR", ""), process.cwd()])


def running(**environment: str) -> Iterator[Product]:
    """For fixtures: a product that is up, and gone afterwards."""
    product = Product(**environment)
    try:
        yield product.start()
    finally:
        product.remove()

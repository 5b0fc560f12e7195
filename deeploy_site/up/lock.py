"""One supervisor per VAR_DIR."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil

from deeploy_site.up.console import step
from deeploy_site.up.errors import UpError

_LONGEST_CLEAN_UP_SECONDS = 90
# A supervisor that was killed this instant may still be listed as running.
_DYING_SECONDS = 0.3


class UpLock:
    """Holds VAR_DIR/up.lock. The guard shares the descriptor, so that after a killed supervisor
    the next one waits until the guard has stopped what was left."""

    def __init__(self, var_dir: Path) -> None:
        self.path = var_dir / "up.lock"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self, url: str) -> None:
        """Takes the lock or raises UpError naming who has it."""
        if not self._try():
            time.sleep(_DYING_SECONDS)
            self._refuse_if_alive()
            with step("Waiting for the clean-up after a killed start"):
                self._wait()
        started = psutil.Process().create_time()
        owner = json.dumps({"pid": os.getpid(), "created": started, "url": url})
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, owner.encode(), 0)

    def release(self) -> None:
        os.close(self.descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _refuse_if_alive(self) -> None:
        owner = self._owner()
        try:
            process = psutil.Process(owner["pid"])
            alive = process.status() != psutil.STATUS_ZOMBIE
            alive = alive and abs(process.create_time() - owner["created"]) < 2
        except (psutil.Error, KeyError):
            return
        if alive:
            raise UpError(
                f"Deeploy already runs from {self.path.parent}: {owner['url']} "
                f"(process {owner['pid']}).\nStop it with Ctrl-C in its terminal or "
                f"`kill {owner['pid']}`, or start a second one with its own VAR_DIR and PORT."
            )

    def _owner(self) -> dict[str, Any]:
        try:
            owner: dict[str, Any] = json.loads(self.path.read_text())
        except ValueError:
            return {}
        return owner

    def _wait(self) -> None:
        deadline = time.monotonic() + _LONGEST_CLEAN_UP_SECONDS
        while not self._try():
            self._refuse_if_alive()
            if time.monotonic() > deadline:
                raise UpError(
                    f"Another process still holds {self.path} after {_LONGEST_CLEAN_UP_SECONDS} "
                    f"seconds. Find it with `fuser {self.path}` and stop it."
                )
            time.sleep(0.1)

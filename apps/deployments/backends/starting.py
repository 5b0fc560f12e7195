"""Starts that take longer than the controller may wait: each in a thread, with a log of its own."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from django.conf import settings

from apps.deployments.backends.base import Observation
from apps.deployments.backends.containers import tail_of

_AT_ONCE = 8


class Start:
    """One start on its way; what it says is read by other processes too."""

    def __init__(self, name: str) -> None:
        self.directory = directory_of(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._given_up = threading.Event()
        self.done: Future[None] = Future()

    def write(self, line: str) -> None:
        with (self.directory / "start.log").open("a") as file:
            file.write(line + "\n")

    def is_given_up(self) -> bool:
        return self._given_up.is_set()

    def give_up(self, seconds: float) -> None:
        """Asks the thread to end, and waits for it."""
        self._given_up.set()
        self.done.exception(timeout=seconds)


class Starts:
    """All starts of one backend in this process, by name."""

    def __init__(self, prefix: str) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=prefix)
        self._starts: dict[str, Start] = {}

    def begin(self, name: str, act: Callable[[Start], None]) -> None:
        start = Start(name)
        start.done = self._pool.submit(act, start)
        self._starts[name] = start

    def seen(self, name: str) -> Observation | None:
        """How a start is; None where it is done, or not of this process."""
        start = self._starts.get(name)
        if start is None:
            return None
        if not start.done.done():
            return Observation("preparing")
        error = start.done.exception()
        return Observation("exited", reason=str(error)) if error else None

    def end(self, name: str, seconds: float) -> None:
        """Gives a start up where it still runs."""
        if start := self._starts.get(name):
            start.give_up(seconds)

    def forget(self, name: str) -> None:
        """Drops a start and its directory."""
        self._starts.pop(name, None)
        shutil.rmtree(directory_of(name), ignore_errors=True)

    def __contains__(self, name: object) -> bool:
        return name in self._starts


def directory_of(name: str) -> Path:
    """Where the files of one container or service lie."""
    folder: Path = settings.VAR_DIR / "containers" / name.removeprefix("deeploy-")
    return folder


def log_of(name: str, lines: int) -> list[str]:
    """What the start said."""
    return tail_of(directory_of(name) / "start.log", lines)

"""Processes that a supervisor starts: each in a session of its own, with a record on disk.

The record (VAR_DIR/run/NAME.json: pid, time of start, command) is what lets the guard, or the
next start, find a process again without mistaking another one for it.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

# Clocks that are set while we run move the start times that the system reports.
_CLOCK_TOLERANCE_SECONDS = 2
_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Entry:
    """A process by name, as recorded; `executable` is the first word of its command."""

    name: str
    pid: int
    created: float
    executable: str
    path: Path

    @classmethod
    def read(cls, path: Path) -> "Entry | None":
        try:
            found = json.loads(path.read_text())
            return cls(path.stem, found["pid"], found["created"], found["executable"], path)
        except (OSError, ValueError, KeyError):
            return None

    def write(self) -> None:
        content = {"pid": self.pid, "created": self.created, "executable": self.executable}
        self.path.write_text(json.dumps(content))

    def members(self) -> list[psutil.Process]:
        """The living processes of this group: the leader and those that it started."""
        if self._number_is_anothers():
            return []
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _number_is_anothers(self) -> bool:
        try:
            created = psutil.Process(self.pid).create_time()
        except psutil.Error:
            return False
        return abs(created - self.created) > _CLOCK_TOLERANCE_SECONDS

    def _is_ours(self, process: psutil.Process) -> bool:
        """In the recorded group, no older than its leader, and running the same program."""
        try:
            return (
                os.getpgid(process.pid) == self.pid
                and process.create_time() >= self.created - _CLOCK_TOLERANCE_SECONDS
                and process.status() != psutil.STATUS_ZOMBIE
                and process.cmdline()[:1] == [self.executable]
            )
        except (OSError, psutil.Error):
            return False


def recorded(run_dir: Path) -> Iterator[Entry]:
    """What an earlier supervisor wrote down and did not strike out."""
    for path in sorted(run_dir.glob("*.json")):
        if entry := Entry.read(path):
            yield entry
        else:
            path.unlink(missing_ok=True)


def end(entry: Entry, *, grace_seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
    """Asks the leader to finish (its members, where it is gone), waits, then ends the group.

    Blocks for at most `grace_seconds` and a moment; `hurry` cuts the wait short. Removes the
    record.
    """
    members = entry.members()
    leader = [process for process in members if process.pid == entry.pid]
    _signal(leader or members, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while entry.members() and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)
    _signal(entry.members(), signal.SIGKILL)
    entry.path.unlink(missing_ok=True)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


class Child:
    """One long-running command: started, watched, started again."""

    def __init__(
        self, name: str, command: list[str], environment: dict[str, str], var_dir: Path
    ) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = var_dir / "log" / f"{name}.log"
        self.record = var_dir / "run" / f"{name}.json"
        self.process: subprocess.Popen[bytes] | None = None
        self.entry: Entry | None = None

    def start(self, *, pass_fds: tuple[int, ...] = ()) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=_ROOT,
                env=self.environment,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        pid = self.process.pid
        created = psutil.Process(pid).create_time()
        self.entry = Entry(self.name, pid, created, self.command[0], self.record)
        self.entry.write()

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self.process.poll() if self.process else None

    def stop(self, *, grace_seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
        """Ends the process and everything in its group, and waits for it."""
        if self.process is None or self.entry is None:
            return
        end(self.entry, grace_seconds=grace_seconds, hurry=hurry)
        self.process.wait()
        self.process = None

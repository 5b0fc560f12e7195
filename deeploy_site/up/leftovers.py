"""Ends what a supervisor left running when it was killed."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from deeploy_site import embedded_postgres
from deeploy_site.up.processes import end, recorded

# Traffic ends first; the controller stops its model servers with the database still there.
STOP_ORDER = ("web", "worker", "controller")
GRACE_SECONDS = {"web": 15.0, "worker": 20.0, "controller": 30.0}
_REPLICA_GRACE_SECONDS = 3.0


def end_recorded(run_dir: Path) -> list[str]:
    """Ends every recorded process that still runs; returns the names of those that did."""
    entries = {entry.name: entry for entry in recorded(run_dir)}
    names = [*(name for name in STOP_ORDER if name in entries), *(set(entries) - set(STOP_ORDER))]
    found = [name for name in names if entries[name].members()]
    for name in names:
        end(entries[name], grace_seconds=GRACE_SECONDS.get(name, 2.0))
    return found


def end_replicas(var_dir: Path, *, hurry: Callable[[], bool] = lambda: False) -> int:
    """Ends the model servers that the process backend left; returns how many there were."""
    replicas = list(_replicas(var_dir))
    for replica in replicas:
        _quietly(replica.terminate)
    deadline = time.monotonic() + _REPLICA_GRACE_SECONDS
    while any(map(_lives, replicas)) and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)
    for replica in filter(_lives, replicas):
        _quietly(replica.kill)
    return len(replicas)


def end_everything(var_dir: Path, *, embedded: bool) -> None:
    """All of it, in the order of a proper stop."""
    end_recorded(var_dir / "run")
    end_replicas(var_dir)
    if embedded:
        embedded_postgres.stop(var_dir)


def _replicas(var_dir: Path) -> Iterator[psutil.Process]:
    for path in (var_dir / "replicas").glob("*/handle.json"):
        try:
            handle = json.loads(path.read_text())
            process = psutil.Process(handle["pid"])
            if abs(process.create_time() - handle["created"]) < 2 and _lives(process):
                yield process
        except (OSError, ValueError, KeyError, psutil.Error):
            continue


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.Error:
        return

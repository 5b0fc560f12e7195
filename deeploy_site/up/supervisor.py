"""Starts everything in order, keeps it running, and stops it in the reverse order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psycopg

from deeploy_site import embedded_postgres
from deeploy_site.embedded_postgres import PostgresError
from deeploy_site.up import leftovers, port, web_client
from deeploy_site.up.console import say, step
from deeploy_site.up.demo import Demo
from deeploy_site.up.errors import StopRequested, UpError
from deeploy_site.up.lock import UpLock
from deeploy_site.up.logs import ErrorWatch, rotate, tail
from deeploy_site.up.options import ROOT, Options
from deeploy_site.up.processes import Child
from deeploy_site.up.restarts import Restarts

_TICK_SECONDS = 0.1
_READY_WITHIN_SECONDS = 120
_DEMO_WITHIN_SECONDS = 120
_WORKER_AFTER_SECONDS = 10
_DATABASE_WITHIN_SECONDS = 60


class Supervisor:
    """One start of the product, from the lock to the last process stopped."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.var_dir = options.var_dir
        self.children: dict[str, Child] = {}
        self.restarts: dict[str, Restarts] = {}
        self.errors: dict[str, ErrorWatch] = {}
        self.asked_to_stop = 0
        self.lifeline: int | None = None
        self.guard: Child | None = None

    def run(self) -> None:
        """Returns when all is stopped again. Raises UpError where the start fails."""
        for name in ("log", "run", "secrets"):
            (self.var_dir / name).mkdir(parents=True, exist_ok=True)
        (self.var_dir / "secrets").chmod(0o700)
        lock = UpLock(self.var_dir)
        try:
            lock.acquire(self.options.base_url)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._on_signal)
            try:
                self._start(lock)
                self._watch()
            except StopRequested:
                pass
            finally:
                self._stop()
        finally:
            lock.release()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop += 1

    def _hurry(self) -> bool:
        return self.asked_to_stop > 1

    def _pause(self, seconds: float = _TICK_SECONDS) -> None:
        if self.asked_to_stop:
            raise StopRequested
        time.sleep(seconds)

    # The start

    def _start(self, lock: UpLock) -> None:
        started = time.monotonic()
        say("Deeploy")
        if left := leftovers.end_recorded(self.var_dir / "run"):
            say(f"  Stopped what a killed start had left: {', '.join(left)}")
        port.check(self.options.host, self.options.port)
        rotate(self.var_dir / "log")
        self._start_guard(lock)
        self._start_database()
        marker = self.var_dir / "run" / "demo-wanted"
        self._to_end("prepare", "--mark-empty", str(marker), shows=True)
        with step("Starting web and controller"):
            self._start_child("web")
            self._start_child("controller")
            self._wait_for_web()
        if self.options.wants_demo and marker.exists():
            self._load_demo(marker)
        demo = Demo.read(self.var_dir) if self.options.wants_demo else None
        if demo is not None:
            demo.move_to(self.options.base_url)
            self._wait_for_demo(demo)
        self._start_worker()
        self._announce(demo, time.monotonic() - started)

    def _start_guard(self, lock: UpLock) -> None:
        reading, self.lifeline = os.pipe()
        mode = "external" if self.options.database_url else "embedded"
        command = [sys.executable, "-m", "deeploy_site.up.guard"]
        command += [str(self.var_dir), str(reading), mode]
        self.guard = Child("guard", command, self.options.environment, self.var_dir)
        self.guard.start(pass_fds=(reading, lock.descriptor))
        os.close(reading)

    def _start_database(self) -> None:
        if self.options.database_url:
            with step("Waiting for the database"):
                self._wait_for_database()
            return
        fresh = not (self.var_dir / "postgres" / "PG_VERSION").exists()
        with step("Making a PostgreSQL database" if fresh else "Starting PostgreSQL"):
            try:
                embedded_postgres.start(self.var_dir)
            except PostgresError as error:
                raise UpError(str(error)) from None
        self._pause(0)

    def _wait_for_database(self) -> None:
        deadline = time.monotonic() + _DATABASE_WITHIN_SECONDS
        while True:
            try:
                psycopg.connect(self.options.database_url, connect_timeout=5).close()
                return
            except psycopg.Error as error:
                if time.monotonic() > deadline:
                    raise UpError(f"DATABASE_URL does not answer: {error}") from None
            self._pause(0.5)

    def _to_end(self, command: str, *arguments: str, shows: bool = False) -> None:
        """Runs one of our management commands; raises UpError with its last lines."""
        log = self.var_dir / "log" / f"{command}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=None if shows else output,
                stderr=output,
                cwd=ROOT,
                env=self.options.environment,
                start_new_session=True,
            )
        try:
            while process.poll() is None:
                self._pause(0.05)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode:
            raise UpError(f"{command} failed; the end of {log}:\n\n{tail(log)}")

    def _start_child(self, name: str) -> None:
        child = Child(name, self.options.commands[name], self.options.environment, self.var_dir)
        self.errors[name] = ErrorWatch(child.log)
        self.restarts[name] = Restarts()
        self.children[name] = child
        child.start()

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while web_client.status(f"{self.options.address}/readyz") != 200:
            log = self.children["web"].log
            if self.restarts["web"].count >= 2:
                raise UpError(f"The web process does not start; the end of {log}:\n\n{tail(log)}")
            if time.monotonic() > deadline:
                raise UpError(f"The web process does not answer; see {log}")
            self._tend()

    def _load_demo(self, marker: Path) -> None:
        """Once per database. What fails is tried again at the next start; the rest works on."""
        try:
            with step("Loading the demo"):
                self._to_end("load_demo")
        except UpError as error:
            say(f"  {error}\n  The next start tries again; DEMO=0 leaves the demo out.")
            return
        marker.unlink(missing_ok=True)

    def _start_worker(self) -> None:
        if "worker" not in self.children:
            self._start_child("worker")

    def _wait_for_demo(self, demo: Demo) -> None:
        """The worker starts late, so that it does not slow what people wait for; but it does
        start, because a deployment may wait for one of its tasks."""
        started = time.monotonic()
        with step("Waiting for the demo's deployments"):
            while waiting := demo.waiting_for(self.options.address):
                waited = time.monotonic() - started
                if waited > _DEMO_WITHIN_SECONDS:
                    break
                if waited > _WORKER_AFTER_SECONDS:
                    self._start_worker()
                self._tend()
        for name, state in waiting.items():
            say(f"  {name} does not answer yet: {state}. Its page says more.")

    def _announce(self, demo: Demo | None, seconds: float) -> None:
        say(f"\n  Ready after {seconds:.1f} s:  {self.options.base_url}")
        if demo is not None:
            username, password = demo.sign_in
            say(f"  Sign in as:  {username}   Password:  {password}")
        say(f"  Logs: {self.var_dir / 'log'}   Stop: Ctrl-C\n")

    # While it runs

    def _watch(self) -> None:
        next_look = next_rotation = time.monotonic()
        while True:
            self._tend()
            now = time.monotonic()
            if now >= next_look:
                self._look_after_database()
                self._show_errors()
                next_look = now + 1
            if now >= next_rotation:
                rotate(self.var_dir / "log")
                next_rotation = now + 60

    def _tend(self) -> None:
        """One tick: what has ended is started again, at first at once, then ever later."""
        self._pause()
        now = time.monotonic()
        for name, child in self.children.items():
            restarts = self.restarts[name]
            code = child.exit_code()
            if code is not None:
                child.stop(grace_seconds=1)
                delay = restarts.ended(now)
                when = f"in {delay:.0f} s" if delay else "now"
                say(
                    f"  {name} ended ({_meaning(code)}); starting it again {when}. Log: {child.log}"
                )
            if restarts.due(now):
                child.start()
                restarts.started(now)

    def _look_after_database(self) -> None:
        if self.options.database_url or embedded_postgres.is_running(self.var_dir):
            return
        say("  PostgreSQL ended; starting it again. Log: " + str(self.var_dir / "log/postgres.log"))
        try:
            embedded_postgres.start(self.var_dir)
        except (PostgresError, psycopg.Error) as error:
            say(f"  {error}")

    def _show_errors(self) -> None:
        for name, watch in self.errors.items():
            for line in watch.news(time.monotonic()):
                say(f"  {name}: {line}")

    # The end

    def _stop(self) -> None:
        if self.asked_to_stop:
            say("\nStopping (Ctrl-C again: at once)")
        for name in leftovers.STOP_ORDER:
            if child := self.children.get(name):
                grace = 0 if self._hurry() else leftovers.GRACE_SECONDS[name]
                with step(f"Stopping {name}"):
                    child.stop(grace_seconds=grace, hurry=self._hurry)
        leftovers.end_replicas(self.var_dir, hurry=self._hurry)
        if not self.options.database_url and embedded_postgres.is_running(self.var_dir):
            with step("Stopping PostgreSQL"):
                embedded_postgres.stop(self.var_dir, timeout_seconds=2 if self._hurry() else 30)
        self._end_guard()

    def _end_guard(self) -> None:
        if self.lifeline is not None:
            os.close(self.lifeline)
        if self.guard is not None:
            self.guard.stop(grace_seconds=1)


def _meaning(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"

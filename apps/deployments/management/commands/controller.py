"""The controller's loop: one leads, by an advisory lock; others wait to take over."""

import logging
import os
import signal
import sys
import threading
import time
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.deployments.backends import NAMES, backend_named
from apps.deployments.backends.base import BackendError, Handle
from apps.deployments.models import Replica, Revision
from apps.deployments.reconcile import Reconciler

log = logging.getLogger("controller")
_LOCK = 0x44504C59
_SECONDS_AT_REST, _SECONDS_BUSY = 1.0, 0.1
_SECONDS_BETWEEN_DUTIES = 3.0
_DUTY_NICENESS = 10


class Command(BaseCommand):
    """Runs until SIGTERM; with STOP_REPLICAS_ON_EXIT=1 it then stops every replica."""

    help = "Starts, checks, switches, drains and restarts model servers."

    def handle(self, *args: Any, **options: Any) -> None:
        self.running = True
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        self.reconciler = Reconciler()
        self.unswept = set(NAMES)
        threading.Thread(target=self._see_to_duties, daemon=True).start()
        while self.running:
            try:
                with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
                    self._lead(connection)
            except psycopg.OperationalError as error:
                log.warning("The database is away: %s", str(error).splitlines()[0])
                close_old_connections()
                time.sleep(1)
        if os.environ.get("STOP_REPLICAS_ON_EXIT") == "1":
            self.reconciler.stop_everything(timezone.now())

    def _lead(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("LISTEN deeploy_routes")
        while self.running:
            leads = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
            if leads and leads[0]:
                break
            list(connection.notifies(timeout=_SECONDS_AT_REST, stop_after=1))
        while self.running:
            self._sweep()
            self._round(connection)
            close_old_connections()

    def _round(self, connection: psycopg.Connection[Any]) -> None:
        """A look at every deployment, then at those on their way only, until the next is due."""
        due = time.monotonic() + _SECONDS_AT_REST
        busy = self.reconciler.tick(timezone.now())
        while self.running and (left := due - time.monotonic()) > 0:
            wait = min(left, _SECONDS_BUSY) if busy else left
            if list(connection.notifies(timeout=wait, stop_after=1)):
                return
            busy = busy and self.reconciler.follow(timezone.now())

    def _see_to_duties(self) -> None:
        """Runs CONTROLLER_DUTIES every few seconds, beside the loop and never in its way."""
        _give_way()
        duties = [import_string(path) for path in settings.CONTROLLER_DUTIES]
        while self.running:
            for duty in duties:
                try:
                    duty()
                except Exception:
                    log.exception("A duty failed; it is tried again in a few seconds")
            close_old_connections()
            time.sleep(_SECONDS_BETWEEN_DUTIES)

    def _sweep(self) -> None:
        """Ends model servers that no row knows: left by a database or a start that is gone.

        Once for every backend that is in use; again while an engine is away."""
        if not self.unswept:
            return
        used = {settings.DEFAULT_BACKEND, "process"}
        used |= set(Revision.objects.values_list("backend", flat=True).distinct())
        living = Replica.objects.exclude(handle={}).filter(state__in=["starting", "ready"])
        known = [replica.handle for replica in living]
        for path in settings.SERVERS_BESIDE:
            known += import_string(path)()
        for name in sorted(self.unswept):
            if name in used and not self._ended_orphans(name, known):
                continue
            self.unswept.discard(name)

    def _ended_orphans(self, name: str, known: list[Handle]) -> bool:
        """False where the backend does not answer."""
        backend = backend_named(name)
        try:
            for handle in backend.orphans(known):
                log.warning("Stopping an orphaned model server: %s", handle)
                backend.stop(handle, grace_seconds=2)
        except BackendError as error:
            log.warning("Orphans of the backend %s are looked for later: %s", name, error)
            return False
        return True

    def _stop(self, *_: Any) -> None:
        self.running = False


def _give_way() -> None:
    """Lowers this thread's priority: what answers and what starts model servers goes first."""
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _DUTY_NICENESS)

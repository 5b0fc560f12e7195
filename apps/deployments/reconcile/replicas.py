"""The servers of a revision: started, looked at, ended, and planned anew where one has ended."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.db import transaction

from apps.audit.actor import SYSTEM
from apps.deployments import model_client, signatures, transformers
from apps.deployments.backends.base import Backend, BackendError, Handle, Observation
from apps.deployments.environments import readiness
from apps.deployments.models import Replica, Revision
from apps.deployments.reconcile.endings import why_ended
from apps.deployments.reconcile.specs import check_files, replica_spec, version_of
from apps.deployments.reconcile.states import living, note
from apps.deployments.services import notify_routes, record

log = logging.getLogger(__name__)

PREPARING = "Preparing the image"
_CALM_AFTER = timedelta(minutes=5)
_LONGEST_WAIT_SECONDS = 60
_GRACE_SECONDS = 10


class Replicas:
    """The replicas of all revisions, each on the backend of its own."""

    def __init__(self, backend_for: Callable[[str], Backend]) -> None:
        self.backend_for = backend_for
        self.stopping = ThreadPoolExecutor(8, thread_name_prefix="stop")

    def observe(self, replica: Replica, now: datetime) -> None:
        """Notes that a replica became ready, or has ended."""
        if not replica.handle:
            return None
        backend = self.backend(replica)
        try:
            seen = backend.observe(replica.handle)
            address = replica.address or backend.address(replica.handle)
        except BackendError as error:
            return note(replica, replica.state, now, message=str(error))
        if seen.state == "exited":
            self._note_end(replica, backend, seen, now)
        elif replica.state == Replica.State.STARTING:
            self._follow_start(replica, seen, address, now)
        elif replica.restarts and now - replica.state_at > _CALM_AFTER:
            replica.restarts = 0
            replica.save(update_fields=["restarts"])
        return None

    def _follow_start(
        self, replica: Replica, seen: Observation, address: str, now: datetime
    ) -> None:
        """Time runs from when the image is there; it is up to the backend to bound that."""
        if seen.state == "preparing":
            if replica.message != PREPARING:
                note(replica, replica.state, now, message=PREPARING)
        elif replica.message == PREPARING:
            note(replica, replica.state, now, message="", state_at=now)
        if address != replica.address:
            note(replica, replica.state, now, address=address)
        if address and seen.state == "running" and _is_ready(replica):
            note(replica, Replica.State.READY, now, message="")
            notify_routes()

    def _note_end(
        self, replica: Replica, backend: Backend, seen: Observation, now: datetime
    ) -> None:
        """Plans the restart of a replica that ended: at once, then after 1, 2, 4 … 60 seconds."""
        tail = tail_of(backend, replica.handle)
        try:
            backend.stop(replica.handle, grace_seconds=0)
        except BackendError as error:
            log.warning("What is left of replica %s stays: %s", replica.id, error)
        wait = (
            0 if not replica.restarts else min(2 ** (replica.restarts - 1), _LONGEST_WAIT_SECONDS)
        )
        note(
            replica,
            Replica.State.STARTING,
            now,
            handle={},
            address="",
            message=f"{why_ended(seen, tail)}\n{tail}",
            restarts=replica.restarts + 1,
            retry_at=now + timedelta(seconds=wait),
        )
        notify_routes()
        revision = replica.component.revision
        if revision.state == Revision.State.ACTIVE:
            with transaction.atomic():
                data = {"revision": revision.number, "reason": why_ended(seen, tail)}
                record(revision.deployment, "replica.ended", SYSTEM, data)

    def slots(self, revision: Revision, now: datetime) -> list[Replica]:
        """The rows of the revision's replicas, made where they are not there yet."""
        replicas = living(revision)
        taken = {(replica.component_id, replica.index) for replica in replicas}
        for component in revision.components.select_related("environment", "artifact", "revision"):
            for index in range(transformers.run_of(component).min_replicas):
                if (component.id, index) not in taken:
                    replicas.append(
                        Replica.objects.create(component=component, index=index, state_at=now)
                    )
        return replicas

    def launch(self, replica: Replica, revision: Revision, now: datetime) -> None:
        """Starts a model server. Raises NotBuilt, or BackendError where it is refused."""
        version = version_of(revision)
        backend = self.backend_for(revision.backend)
        check_files(replica.component, version)
        place = readiness.location_of(replica.component, revision.backend, now)
        handle = backend.start(replica_spec(replica, revision, version, place))
        address = backend.address(handle)
        note(replica, Replica.State.STARTING, now, handle=handle, address=address, message="")

    def stop(self, revision: Revision, now: datetime) -> None:
        for replica in living(revision):
            self.end(replica)
            note(replica, Replica.State.STOPPED, now)
        notify_routes()

    def end(self, replica: Replica) -> None:
        """Stops a replica in the background: waiting for it must not hold up the others."""
        if replica.handle:
            self.stopping.submit(_stop, self.backend(replica), replica.handle)

    def backend(self, replica: Replica) -> Backend:
        return self.backend_for(replica.component.revision.backend)


def _is_ready(replica: Replica) -> bool:
    component, version = replica.component, replica.component.model_version
    if component.config.get("image"):
        return signatures.is_ready(replica.address, component.config["readinessPath"])
    if version is not None and version.framework == version.Framework.CUSTOM:
        return signatures.is_ready(replica.address, version.source.get("readinessPath", ""))
    try:
        return model_client.readiness(replica.address)[0] == "ready"
    except model_client.Unreachable:
        return False


def tail_of(backend: Backend, handle: Handle) -> str:
    """The server's last lines; nothing while its engine is away."""
    try:
        return backend.log(handle, lines=40)
    except BackendError:
        return ""


def is_busy(replica: Replica) -> bool:
    try:
        return bool(replica.address) and model_client.in_flight(replica.address) > 0
    except model_client.Unreachable:
        return False


def _stop(backend: Backend, handle: Handle) -> None:
    """Ends a replica; what an engine that is away keeps is an orphan, found when it is back."""
    try:
        backend.stop(handle, grace_seconds=_GRACE_SECONDS)
    except Exception:
        log.exception("A replica could not be stopped: %s", handle)

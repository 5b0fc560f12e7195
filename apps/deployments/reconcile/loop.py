"""One round of the controller over all deployments."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.deployments.backends import backend_named
from apps.deployments.backends.base import Backend
from apps.deployments.environments import builds
from apps.deployments.models import Deployment, Replica, Revision
from apps.deployments.reconcile.elsewhere import Elsewhere
from apps.deployments.reconcile.replicas import Replicas
from apps.deployments.reconcile.rollout import REBUILD_LOOK_SECONDS, Rollout
from apps.deployments.reconcile.states import COMING, LIVING, move, note
from apps.deployments.services import notify_routes

log = logging.getLogger(__name__)


class Reconciler:
    """Looks at every deployment and takes the next step for each."""

    def __init__(self, backend_for: Callable[[str], Backend] = backend_named) -> None:
        self.backend_for = backend_for
        self.replicas = Replicas(backend_for)
        self.rollout = Rollout(self.replicas)
        self.elsewhere = Elsewhere(self.rollout)
        self.looked_at_builds: datetime | None = None
        self.on_their_way: set[UUID] = set()

    def tick(self, now: datetime) -> bool:
        """One round over all; True where something is on its way and a look soon is worth it."""
        running = Replica.objects.filter(state__in=LIVING).values("component__revision__deployment")
        elsewhere = ~Q(kind=Deployment.Kind.MANAGED) & Q(active_revision__isnull=False)
        wanted = ~Q(desired=Deployment.Desired.DELETED) | Q(pk__in=running) | elsewhere
        self._recover_builds(now)
        return self._round(Deployment.objects.filter(wanted), now)

    def follow(self, now: datetime) -> bool:
        """A round over those alone that were on their way in the last one."""
        return self._round(Deployment.objects.filter(pk__in=self.on_their_way), now)

    def _round(self, deployments: QuerySet[Deployment], now: datetime) -> bool:
        self.on_their_way = set()
        for deployment in deployments.select_related("active_revision"):
            try:
                if self.reconcile(deployment, now):
                    self.on_their_way.add(deployment.pk)
            except Exception:
                log.exception("Deployment %s could not be brought in line", deployment.slug)
        return bool(self.on_their_way)

    def reconcile(self, deployment: Deployment, now: datetime) -> bool:
        """The next step for one deployment; True where it is not at rest."""
        replicas = list(
            Replica.objects.filter(component__revision__deployment=deployment, state__in=LIVING)
            .select_related(
                "component__revision", "component__model_version", "component__artifact"
            )
            .order_by("component", "index")
        )
        if deployment.desired != Deployment.Desired.RUNNING:
            self._halt(deployment, replicas, now)
            return False
        if deployment.kind != Deployment.Kind.MANAGED:
            return self.elsewhere.look(deployment, now)
        for replica in replicas:
            self.replicas.observe(replica, now)
        coming = self.rollout.coming(deployment, now)
        if coming is not None:
            self.rollout.advance(coming, now)
        if deployment.active_revision is not None:
            self.rollout.keep(deployment.active_revision, now)
        draining = self.rollout.draining(deployment)
        for revision in draining:
            self.rollout.drain(revision, now)
        starting = any(replica.state == Replica.State.STARTING for replica in replicas)
        moving = coming is not None and coming.state != Revision.State.BUILDING
        return moving or starting or bool(draining)

    def stop_everything(self, now: datetime) -> None:
        """Stops all replicas, in parallel; they start again with the next controller."""
        living = list(
            Replica.objects.filter(state__in=LIVING).select_related("component__revision")
        )
        for replica in living:
            self.replicas.end(replica)
            note(replica, Replica.State.STARTING, now, handle={}, address="")
        if living:
            notify_routes()
        self.replicas.stopping.shutdown(wait=True)
        self.elsewhere.endpoints.close()

    def _recover_builds(self, now: datetime) -> None:
        last = self.looked_at_builds
        if last is None or now - last >= timedelta(seconds=REBUILD_LOOK_SECONDS):
            self.looked_at_builds = now
            builds.recover(now=now)

    def _halt(self, deployment: Deployment, replicas: list[Replica], now: datetime) -> None:
        """Stops what runs of a deployment that is stopped or deleted."""
        deleted = deployment.desired == Deployment.Desired.DELETED
        for replica in replicas:
            self.replicas.end(replica)
            note(replica, Replica.State.STOPPED, now)
        for revision in deployment.revisions.filter(state=Revision.State.DRAINING):
            move(revision, Revision.State.RETIRED, now)
        for revision in deployment.revisions.filter(state__in=COMING[1:]):
            move(revision, Revision.State.PENDING, now)
        if deleted:
            for revision in deployment.revisions.filter(state__in=[*COMING, Revision.State.ACTIVE]):
                move(revision, Revision.State.RETIRED, now)
            Deployment.objects.filter(pk=deployment.pk).update(active_revision=None)

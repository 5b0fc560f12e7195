"""Revisions whose endpoint is elsewhere: checked, then given the traffic, then watched."""

from datetime import datetime

from django.db import transaction

from apps.audit.actor import SYSTEM
from apps.deployments.models import Component, Deployment, Revision
from apps.deployments.outside import Outlook
from apps.deployments.reconcile.rollout import Rollout
from apps.deployments.reconcile.states import move
from apps.deployments.services import record


class Elsewhere:
    """Goes the way of `Rollout` without a server of ours."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.endpoints = Outlook()

    def look(self, deployment: Deployment, now: datetime) -> bool:
        """The same way for what runs elsewhere: checked, then given the traffic, then watched."""
        if deployment.kind == Deployment.Kind.REGISTRATION:
            return False
        coming, draining = self.rollout.coming(deployment, now), self.rollout.draining(deployment)
        if coming is not None:
            if coming.state == Revision.State.PENDING:
                move(coming, Revision.State.CHECKING, now)
            found = self.endpoints.check(coming)
            if found is not None and found["ok"]:
                self.rollout.switch(coming, now)
            elif found is not None:
                self.rollout.fail(
                    coming, f"The endpoint failed its check: {found['error']}", "", now
                )
        elif deployment.active_revision is not None:
            self._note_health(deployment, deployment.active_revision, now)
        for revision in draining:
            self.rollout.drain(revision, now)
        return coming is not None or bool(draining)

    def _note_health(self, deployment: Deployment, revision: Revision, now: datetime) -> None:
        if (seen := self.endpoints.look(revision, now)) is None:
            return
        component, health = seen
        before = component.health.get("ok", True)
        with transaction.atomic():
            Component.objects.filter(pk=component.pk).update(health=health)
            if before != health["ok"]:
                name = "deployment.endpoint_back" if health["ok"] else "deployment.endpoint_lost"
                record(deployment, name, SYSTEM, {"reason": health["error"]})

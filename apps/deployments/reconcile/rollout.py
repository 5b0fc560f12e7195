"""The way of a revision: environments, start, check, traffic, drain; or a failure in words."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.audit.actor import SYSTEM
from apps.deployments import chain, custom, explainers, model_client, signatures, transformers
from apps.deployments.backends.base import BackendError
from apps.deployments.environments import readiness
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.reconcile.replicas import PREPARING, Replicas, is_busy, tail_of
from apps.deployments.reconcile.states import COMING, living, move, note
from apps.deployments.services import notify_routes, record
from apps.serving.protocol import instances_of
from apps.serving.tensors import listed

_DRAIN_AT_LEAST = timedelta(seconds=3)
_DRAIN_AT_MOST = timedelta(seconds=35)
_REFUSED_SECONDS = 2
REBUILD_LOOK_SECONDS = 5


class Rollout:
    """Takes revisions on, and keeps the active one running."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def coming(self, deployment: Deployment, now: datetime) -> Revision | None:
        """The newest revision that is on its way; older ones are given up for it."""
        coming = list(deployment.revisions.filter(state__in=COMING).order_by("-number"))
        for revision in coming[1:]:
            self.replicas.stop(revision, now)
            move(revision, Revision.State.RETIRED, now, error="A newer revision came first.")
        return coming[0] if coming else None

    def advance(self, revision: Revision, now: datetime) -> None:
        if revision.state == Revision.State.PENDING:
            waits = readiness.prepare(revision, now)
            move(revision, Revision.State.BUILDING if waits else Revision.State.STARTING, now)
        if revision.state == Revision.State.BUILDING:
            self._await_environments(revision, now)
        if revision.state == Revision.State.STARTING:
            self._start(revision, now)
        if revision.state == Revision.State.CHECKING:
            self._check(revision, now)

    def _await_environments(self, revision: Revision, now: datetime) -> None:
        outlook = readiness.outlook(revision)
        if outlook.state == "failed":
            self.fail(revision, outlook.reason, outlook.tail, now)
        elif outlook.state == "ready":
            move(revision, Revision.State.STARTING, now)

    def _start(self, revision: Revision, now: datetime) -> None:
        """Starts the replicas; goes on when all are ready, gives up when one ends or takes long."""
        replicas = self.replicas.slots(revision, now)
        for replica in replicas:
            if replica.restarts:
                reason, _, tail = replica.message.partition("\n")
                return self.fail(revision, reason, tail, now)
            if not replica.handle and not self._launch(replica, revision, now):
                return None
        if all(replica.state == Replica.State.READY for replica in replicas):
            move(revision, Revision.State.CHECKING, now)
            return None
        slow = next(r for r in replicas if r.state != Replica.State.READY)
        limit = transformers.run_of(slow.component).load_timeout_seconds
        since = max(revision.state_at, slow.state_at)
        if slow.message != PREPARING and now - since > timedelta(seconds=limit):
            tail = tail_of(self.replicas.backend(slow), slow.handle)
            text = (
                f"The {slow.component.kind} was not ready within {limit} seconds. Give it more "
                "time in the settings, or find in the log what it waits for."
            )
            self.fail(revision, text, tail, now)
        return None

    def _check(self, revision: Revision, now: datetime) -> None:
        """Sends the example input through every replica, then moves the traffic."""
        example = transformers.input_metadata(revision).get("exampleInput")
        models, transforming, explaining = _by_kind(self.replicas.slots(revision, now))
        try:
            signature = custom.note_signature(models[0], self.replicas.backend_for)
            if transforming:
                transformers.note_steps(transforming, self.replicas.backend(transforming[0]))
            if explaining:
                explainers.note_methods(explaining, self.replicas.backend(explaining[0]))
        except (signatures.Speechless, model_client.Unreachable, BackendError) as error:
            return self.fail(revision, str(error), "", now)
        for replica, before in chain.pairs(models, transforming):
            if example is None:
                continue
            try:
                instances = [listed(each) for each in instances_of(example)]
                outputs = chain.predict(replica, before, signature, instances)
            except (model_client.Unreachable, ValueError) as error:
                tail = tail_of(self.replicas.backend(replica), replica.handle)
                text = f"The new revision failed on the example input: {error}"
                return self.fail(revision, text, tail, now)
            if len(outputs) != len(instances):
                text = f"The example input has {len(instances)} rows, the output {len(outputs)}."
                return self.fail(revision, text, "", now)
        for replica in explaining if example is not None else ():
            try:
                instances = [listed(each) for each in instances_of(example)]
                chain.explain(replica, transforming[0] if transforming else None, instances)
            except (model_client.Unreachable, ValueError) as error:
                tail = tail_of(self.replicas.backend(replica), replica.handle)
                text = f"The explainer failed on the example input: {error}"
                return self.fail(revision, text, tail, now)
        return self.switch(revision, now)

    def switch(self, revision: Revision, now: datetime) -> None:
        """Moves all traffic in one transaction; the old revision begins to drain."""
        deployment = revision.deployment
        with transaction.atomic():
            locked = Deployment.objects.select_for_update().get(pk=deployment.pk)
            old = locked.active_revision
            if old is not None:
                move(old, Revision.State.DRAINING, now)
            if not move(revision, Revision.State.ACTIVE, now):
                raise RuntimeError(f"{revision} was changed by another controller")
            Deployment.objects.filter(pk=locked.pk).update(active_revision=revision)
            data = {"revision": revision.number, "from": old.number if old else None}
            record(deployment, "revision.activated", SYSTEM, data)
            notify_routes()
        deployment.active_revision = revision

    def fail(self, revision: Revision, reason: str, tail: str, now: datetime) -> None:
        self.replicas.stop(revision, now)
        with transaction.atomic():
            move(revision, Revision.State.FAILED, now, error=reason, error_log=tail)
            data = {"revision": revision.number, "reason": reason}
            record(revision.deployment, "revision.failed", SYSTEM, data)
            notify_routes()

    def keep(self, revision: Revision, now: datetime) -> None:
        """Starts again what ended of the active revision, when its time has come. What explains
        waits until something predicts: where all start at once, predictions are back first."""
        replicas = self.replicas.slots(revision, now)
        models = [each for each in replicas if each.component.kind == Component.Kind.MODEL]
        predicts = any(each.state == Replica.State.READY for each in models)
        for replica in replicas:
            due = replica.retry_at is None or replica.retry_at <= now
            waits = replica.component.kind == Component.Kind.EXPLAINER and not predicts
            if not replica.handle and due and not waits:
                self._launch(replica, revision, now)

    def _launch(self, replica: Replica, revision: Revision, now: datetime) -> bool:
        """Starts a model server; a refusal of the backend fails a revision that is coming."""
        try:
            self.replicas.launch(replica, revision, now)
        except readiness.NotBuilt as error:
            if revision.state != Revision.State.ACTIVE:
                move(revision, Revision.State.PENDING, now)
            else:
                retry_at = now + timedelta(seconds=REBUILD_LOOK_SECONDS)
                note(replica, replica.state, now, message=str(error), retry_at=retry_at)
            return False
        except BackendError as error:
            if revision.state != Revision.State.ACTIVE:
                self.fail(revision, str(error), "", now)
            else:
                retry_at = now + timedelta(seconds=_REFUSED_SECONDS)
                note(replica, replica.state, now, message=str(error), retry_at=retry_at)
            return False
        return True

    def draining(self, deployment: Deployment) -> list[Revision]:
        return list(deployment.revisions.filter(state=Revision.State.DRAINING))

    def drain(self, revision: Revision, now: datetime) -> None:
        since = now - revision.state_at
        if since < _DRAIN_AT_LEAST:
            return
        if since < _DRAIN_AT_MOST and any(is_busy(r) for r in living(revision)):
            return
        self.replicas.stop(revision, now)
        move(revision, Revision.State.RETIRED, now)


def _by_kind(replicas: list[Replica]) -> tuple[list[Replica], list[Replica], list[Replica]]:
    """Those of the model, of the transformer, and of the explainer."""
    kinds = (Component.Kind.MODEL, Component.Kind.TRANSFORMER, Component.Kind.EXPLAINER)
    models, transforming, explaining = (
        [each for each in replicas if each.component.kind == kind] for kind in kinds
    )
    return models, transforming, explaining

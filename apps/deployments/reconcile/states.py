"""The rows of revisions and replicas: which are alive, which are coming, how they move on."""

from datetime import datetime
from typing import Any

from apps.deployments.models import Replica, Revision

LIVING = (Replica.State.STARTING, Replica.State.READY, Replica.State.DRAINING)
COMING = Revision.UNDER_WAY


def living(revision: Revision) -> list[Replica]:
    """The replicas of a revision, in the order of their index."""
    return list(
        Replica.objects.filter(component__revision=revision, state__in=LIVING)
        .select_related("component__revision", "component__environment", "component__artifact")
        .order_by("index")
    )


def note(replica: Replica, state: str, now: datetime, **values: Any) -> None:
    """Keeps a replica's state, and what else there is to say of it."""
    if state != replica.state or "handle" in values:
        values |= {"state": state, "state_at": now}
    for name, value in values.items():
        setattr(replica, name, value)
    if values:
        replica.save(update_fields=list(values))


def move(revision: Revision, state: str, now: datetime, **values: Any) -> bool:
    """Moves a revision on from the state in which it was read; False where it had moved."""
    rows = Revision.objects.filter(pk=revision.pk, state=revision.state)
    if rows.update(state=state, state_at=now, **values) != 1:
        return False
    revision.state, revision.state_at = state, now
    return True

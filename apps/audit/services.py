"""Records events: the one way in which something enters the audit log."""

import os
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.utils import timezone

from apps.audit.actor import Actor
from apps.audit.chain import GENESIS, link_hash, microseconds
from apps.audit.models import Event, EventHead
from apps.core.canonical import digest
from apps.core.ids import uuid7


def record(
    *,
    name: str,
    by: Actor,
    object_type: str,
    object_id: str | UUID,
    object_name: str,
    workspace_id: UUID | None = None,
    data: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> Event:
    """Appends an event to the chain, in the transaction of the change that it tells of.

    The head's row is locked until that transaction ends, so the chain has one order. Raises
    RuntimeError outside a transaction: an event without its change, or the reverse, must not be.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("An event is recorded in the transaction of its change")
    EventHead.objects.get_or_create(id=1, defaults={"number": 0, "hash": GENESIS})
    head = EventHead.objects.select_for_update().get(id=1)
    event = Event(
        id=uuid7(),
        number=head.number + 1,
        at=at or timezone.now(),
        name=name,
        actor_kind=by.kind,
        actor_id=by.id,
        actor_name=by.name[:200],
        workspace_id=workspace_id,
        object_type=object_type,
        object_id=str(object_id),
        object_name=object_name[:200],
        data=orjson.dumps(data or {}, default=str, option=orjson.OPT_SORT_KEYS).decode(),
        salt=os.urandom(16),
        previous_hash=bytes(head.hash),
    )
    event.digest = digest(bytes(event.salt or b""), content(event))
    event.hash = link_hash(bytes(head.hash), bytes(event.digest))
    event.save(force_insert=True)
    head.number, head.hash = event.number, event.hash
    head.save(update_fields=["number", "hash"])
    return event


def content(event: Event) -> dict[str, Any]:
    """What an event's digest commits to."""
    return {
        "id": str(event.id),
        "number": event.number,
        "at": microseconds(event.at),
        "name": event.name,
        "actorKind": event.actor_kind,
        "actorId": event.actor_id,
        "actorName": event.actor_name,
        "workspaceId": str(event.workspace_id) if event.workspace_id else None,
        "objectType": event.object_type,
        "objectId": event.object_id,
        "objectName": event.object_name,
        "data": event.data,
    }

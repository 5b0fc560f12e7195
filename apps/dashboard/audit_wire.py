"""Events on the wire."""

from typing import Any

from apps.audit.models import Event
from apps.audit.sentences import data_of, sentence


def event_out(event: Event) -> dict[str, Any]:
    """One event with its place in the chain; hashes in hexadecimal."""
    return {
        "id": str(event.id),
        "number": event.number,
        "at": event.at.isoformat(),
        "name": event.name,
        "sentence": sentence(event),
        "actorKind": event.actor_kind,
        "actorId": event.actor_id or None,
        "actorName": event.actor_name,
        "workspaceId": str(event.workspace_id) if event.workspace_id else None,
        "objectType": event.object_type,
        "objectId": event.object_id,
        "objectName": event.object_name,
        "data": data_of(event) if event.data is not None else None,
        "digest": bytes(event.digest).hex(),
        "previousHash": bytes(event.previous_hash).hex(),
        "hash": bytes(event.hash).hex(),
    }

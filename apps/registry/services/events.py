"""The events of models."""

from typing import Any

from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.registry.models import Model


def record(name: str, model: Model, by: Actor, data: dict[str, Any]) -> None:
    """Records an event of `model`, in the transaction of the change."""
    audit.record(
        name=name,
        by=by,
        workspace_id=model.workspace_id,
        object_type="model",
        object_id=model.id,
        object_name=model.name,
        data=data,
    )

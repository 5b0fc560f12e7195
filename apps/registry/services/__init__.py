"""Changes to the registry, each with its event."""

from apps.registry.services.drafts import (
    change_draft,
    discard_draft,
    publish_draft,
    replace_sample,
    stage_upload,
)
from apps.registry.services.images import add_image_version
from apps.registry.services.intake import Upload
from apps.registry.services.models import change_model, create_model, delete_model
from apps.registry.services.tidy import tidy
from apps.registry.services.versions import (
    add_version,
    delete_version,
    edit_cards,
    override_scan,
)

__all__ = [
    "Upload",
    "add_image_version",
    "add_version",
    "change_draft",
    "change_model",
    "create_model",
    "delete_model",
    "delete_version",
    "discard_draft",
    "edit_cards",
    "override_scan",
    "publish_draft",
    "replace_sample",
    "stage_upload",
    "tidy",
]

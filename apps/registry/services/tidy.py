"""Removes what nobody needs any more from the store."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError

from apps.registry import archives
from apps.registry.models import Artifact, Draft

_DRAFTS_LIVE = timedelta(days=7)
_SPARED = timedelta(days=1)


def tidy(*, now: datetime) -> int:
    """Discards old drafts, then artifacts that nothing uses; the number of removed files.

    What is younger than a day is spared, so that an upload under way is never disturbed.
    """
    Draft.objects.filter(created_at__lt=now - _DRAFTS_LIVE).delete()
    unused = Artifact.objects.filter(
        versions=None,
        references=None,
        drafts=None,
        sampled_in=None,
        created_at__lt=now - _SPARED,
    )
    for artifact in unused:
        # What stands above the registry may use a file, such as a transformer's, and protects it.
        with suppress(ProtectedError), transaction.atomic():
            artifact.delete()
    kept = set(Artifact.objects.values_list("sha256", flat=True))
    folder: Path = settings.VAR_DIR / "artifacts"
    limit = (now - _SPARED).timestamp()
    removed = 0
    for path in [*folder.glob("??/*"), *folder.glob("incoming-*")]:
        if path.name not in kept and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            removed += 1
    return removed + archives.forget(kept, before=limit)

"""Abstract bases; this app has no tables."""

from django.db import models

from apps.core.ids import uuid7


class Record(models.Model):
    """A row with a UUIDv7 key and the time at which it was written."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

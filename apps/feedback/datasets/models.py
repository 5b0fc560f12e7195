"""Data sets that were made, and who does not want to be in them. `apps.feedback.models` imports
these, so that Django finds them."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core.models import Record
from apps.deployments.models import Deployment


class DataSetExport(Record):
    """One version of a deployment's labelled predictions, as a file in VAR_DIR/datasets.

    `filters` as `settings.DataSetSettings.wire` writes them, `by` the actor who asked. Of a file
    that is there: `sha256`, `size_bytes`, `rows`, and `first_id` to `last_id`, the predictions
    between which all of its rows lie. `written` counts the rows while it is made. What was erased
    or opted out after it was made is still in it: then it is outdated, and its file is removed.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        WRITING = "writing", "Being written"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        OUTDATED = "outdated", "Outdated"

    class Format(models.TextChoices):
        PARQUET = "parquet", "Parquet"
        CSV = "csv", "CSV"

    UNDER_WAY = (State.WAITING, State.WRITING)

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="+")
    deployment_id: UUID
    version = models.IntegerField()
    format = models.CharField(max_length=8, choices=Format, default=Format.PARQUET)
    filters = models.JSONField(default=dict)
    by = models.JSONField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    state_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    written = models.IntegerField(default=0)
    rows = models.IntegerField(null=True)
    size_bytes = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    first_id = models.UUIDField(null=True)
    last_id = models.UUIDField(null=True)
    columns = models.JSONField(default=list)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "version"], name="one_dataset_version"),
            models.CheckConstraint(
                condition=~Q(state="ready") | (Q(rows__isnull=False) & ~Q(sha256="")),
                name="ready_dataset_has_a_checksum",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.version}"

    @property
    def is_ready(self) -> bool:
        return self.state == self.State.READY

    @property
    def is_under_way(self) -> bool:
        return self.state in self.UNDER_WAY

    @property
    def path(self) -> Path:
        folder: Path = settings.VAR_DIR / "datasets"
        return folder / f"{self.id}.{self.format}"

    @property
    def filename(self) -> str:
        return f"{self.deployment.slug}-labelled-v{self.version}.{self.format}"

    @property
    def by_name(self) -> Any:
        return self.by.get("name", "")


class OptOut(Record):
    """A case, by the caller's own id for it, whose predictions never enter a data set."""

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="+")
    custom_id = models.CharField(max_length=200)
    by_name = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "custom_id"], name="one_opt_out_per_case"
            ),
        ]

    def __str__(self) -> str:
        return self.custom_id

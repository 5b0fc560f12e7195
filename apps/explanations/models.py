"""Explanations that were made after the prediction, and those of a model in general; what was
explained with a prediction is in its record."""

import json
from typing import Any

from django.db import models

from apps.accounts.models import User
from apps.core.models import Record
from apps.deployments.models import Deployment, Revision
from apps.registry.models import Artifact, ModelVersion


class Explanation(Record):
    """What one method said of a recorded prediction, once, and never changed.

    `text` is the answer as JSON, byte for byte. `digest` is SHA-256(salt ‖ canonical JSON of what
    `commitment.content_of` names), which the event `explanation.made` carries; an erasure of the
    prediction takes text and salt and leaves the digest. `revision` is the one whose explainer
    answered; its model is that of the prediction.
    """

    prediction_id = models.UUIDField(db_index=True)
    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="+")
    revision = models.ForeignKey(Revision, models.PROTECT, related_name="+")
    name = models.CharField(max_length=40)
    method = models.CharField(max_length=40)
    text = models.TextField(null=True)
    salt = models.BinaryField(null=True)
    digest = models.BinaryField()
    at = models.DateTimeField()
    by_kind = models.CharField(max_length=10)
    by_id = models.CharField(max_length=40)
    by_name = models.CharField(max_length=200)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["deployment", "prediction_id"],
                condition=models.Q(erased_at=None),
                name="explained_later",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.prediction_id}"

    @property
    def content(self) -> dict[str, Any]:
        """The answer; empty where it was erased."""
        found: dict[str, Any] = json.loads(self.text) if self.text else {}
        return found


class ExplanationJob(Record):
    """A request to explain a recorded prediction that the worker answers.

    `names` are the methods asked for, all where it is empty; `by` is the actor as JSON.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        WORKING = "working", "Being explained"
        DONE = "done", "Explained"
        FAILED = "failed", "Failed"

    prediction_id = models.UUIDField(db_index=True)
    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="+")
    names = models.JSONField(default=list)
    by = models.JSONField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    state_at = models.DateTimeField()
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.prediction_id}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.WAITING, self.State.WORKING)


class ExplainerTrial(Record):
    """Explainers tried out before anybody deploys them: measured on ten rows, and previewed.

    `methods` are `{"name", "method", "settings"}`; `config` holds `rows`, `seed` and `memory_mb`.
    `results` grows by one entry for each method: `{"name", "method", "refused"}`, and where it was
    not refused `of` (background or example), `milliseconds` of each row, `seconds` from the start
    of its server to its first answer, the `instance` and what it said of it (`example`). `handle`
    is that of the server that runs now. `seen_at` moves while the worker measures.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for the worker"
        WORKING = "working", "Being measured"
        DONE = "done", "Measured"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    OPEN = (State.WAITING, State.WORKING)

    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="+")
    background = models.ForeignKey(Artifact, models.CASCADE, null=True, related_name="+")
    methods = models.JSONField()
    config = models.JSONField()
    backend = models.CharField(max_length=10)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    seen_at = models.DateTimeField()
    results = models.JSONField(default=list)
    error = models.TextField(blank=True)
    handle = models.JSONField(default=dict)
    asked_by = models.ForeignKey(User, models.CASCADE, related_name="+")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["asked_by", "-id"], name="trial_by_person")]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.version}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN


class GlobalExplanation(Record):
    """What a revision's model believes in general, computed over the explainer's background.

    `content` holds the answers of the explainer: `permutation` and, where a method gives
    contributions, `contributions` (importances), `curves` and `interactions`. An earlier content
    stays while a newer one is being made, and where that fails.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        WORKING = "working", "Being computed"
        DONE = "done", "Computed"
        FAILED = "failed", "Failed"

    revision = models.OneToOneField(Revision, models.CASCADE, related_name="global_explanation")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    state_at = models.DateTimeField()
    error = models.TextField(blank=True)
    content = models.JSONField(default=dict)
    made_at = models.DateTimeField(null=True)
    milliseconds = models.IntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.revision} in general"

    @property
    def is_under_way(self) -> bool:
        return self.state in (self.State.WAITING, self.State.WORKING)

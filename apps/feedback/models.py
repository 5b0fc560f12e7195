"""What people say of predictions, and what turned out to be true. Entries are never changed:
a later one supersedes an earlier one, and both stay."""

import json
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.core.models import Record
from apps.deployments.models import Deployment
from apps.feedback.datasets.models import DataSetExport, OptOut
from apps.feedback.review.models import (
    Claim,
    ReviewCase,
    ReviewHour,
    ReviewProgress,
    ReviewQueue,
)

__all__ = [
    "Actual",
    "Claim",
    "DataSetExport",
    "Entry",
    "Evaluation",
    "OptOut",
    "ReviewCase",
    "ReviewHour",
    "ReviewProgress",
    "ReviewQueue",
]


class Entry(Record):
    """What both kinds share.

    `digest` is SHA-256(salt ‖ canonical JSON of what `commitment` names); an erasure of the
    prediction takes the content and the salt, and leaves the digest. `is_current` is false where
    a later entry supersedes this one. `predicted_at` and `predicted_outcome` are the prediction's
    own, kept here so that figures need not read the log; an erasure takes the outcome.
    """

    prediction_id = models.UUIDField()
    predicted_at = models.DateTimeField(null=True)
    predicted_outcome = models.CharField(max_length=200, null=True)
    deployment = models.ForeignKey(Deployment, models.CASCADE, db_index=False, related_name="+")
    at = models.DateTimeField()
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="superseded_by"
    )
    supersedes_id: UUID | None
    is_current = models.BooleanField(default=True)
    author_kind = models.CharField(max_length=10)
    author_id = models.CharField(max_length=40)
    author_name = models.CharField(max_length=200)
    key_pair_id = models.UUIDField(null=True)
    salt = models.BinaryField(null=True)
    digest = models.BinaryField()
    erased_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    def standing(self) -> "EvaluationQuerySet":
        """What holds now: neither superseded, withdrawn nor erased."""
        return self.filter(is_current=True, erased_at=None).exclude(
            verdict=Evaluation.Verdict.WITHDRAWN
        )


class Evaluation(Entry):
    """One person's or program's judgement of a prediction; each has at most one that is current.

    The author is the person, also where a key pair acted (`key_pair_id`), or a deployment's
    token. `desired_output` is JSON text, `desired_outcome` the class or value that it names, as
    in `PredictionRecord.outcome`. `seen` is the JSON text of what was shown before: `mode`
    (assisted or blind), `explanations` with name and id, and, in blind mode, the `first` answer;
    null where nobody told. `spent_ms`: how long the case was looked at.
    """

    class Verdict(models.TextChoices):
        AGREE = "agree", "Agrees"
        DISAGREE = "disagree", "Disagrees"
        UNSURE = "unsure", "Unsure"
        WITHDRAWN = "withdrawn", "Withdrawn"

    verdict = models.CharField(max_length=10, choices=Verdict, null=True)
    desired_output = models.TextField(null=True)
    desired_outcome = models.CharField(max_length=200, null=True)
    comment = models.TextField(null=True)
    reason = models.CharField(max_length=40, null=True)
    seen = models.TextField(null=True)
    spent_ms = models.IntegerField(null=True)

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["prediction_id", "author_kind", "author_id"],
                condition=Q(is_current=True),
                name="one_current_evaluation_per_author",
            ),
        ]
        indexes = [
            models.Index(fields=["prediction_id", "id"], name="evaluation_of_prediction"),
            models.Index(fields=["deployment", "-id"], name="evaluation_by_deployment"),
            models.Index(
                fields=["deployment", "verdict", "-prediction_id"],
                condition=Q(is_current=True),
                name="evaluation_by_verdict",
            ),
            models.Index(
                fields=["deployment", "-prediction_id"],
                condition=Q(is_current=True),
                name="evaluation_of_deployment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict or 'erased'}: {self.prediction_id}"

    @property
    def desired_value(self) -> Any:
        return None if self.desired_output is None else json.loads(self.desired_output)

    @property
    def seen_value(self) -> dict[str, Any]:
        """What was shown; empty where nobody told, or where it was erased."""
        found: dict[str, Any] = json.loads(self.seen) if self.seen else {}
        return found


class Actual(Entry):
    """What turned out to be true of a prediction; at most one is current.

    `value` is JSON text, `outcome` the class or value as in `PredictionRecord.outcome`, so that
    comparing is comparing two columns. `batch` is the call that brought it; its event binds a
    Merkle root over the digests of the batch, in the order of the ids.
    """

    value = models.TextField(null=True)
    outcome = models.CharField(max_length=200, null=True)
    batch = models.UUIDField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["prediction_id"],
                condition=Q(is_current=True),
                name="one_current_actual_per_prediction",
            ),
        ]
        indexes = [
            models.Index(fields=["prediction_id", "id"], name="actual_of_prediction"),
            models.Index(fields=["deployment", "-id"], name="actual_by_deployment"),
            models.Index(
                fields=["deployment", "-prediction_id"],
                condition=Q(is_current=True),
                name="actual_of_deployment",
            ),
            models.Index(fields=["batch", "id"], name="actual_by_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome or 'erased'}: {self.prediction_id}"

    @property
    def actual_value(self) -> Any:
        return None if self.value is None else json.loads(self.value)

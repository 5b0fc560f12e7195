"""Review queues, the cases in them, and who holds or judged which.

What is judged is an `Evaluation` like any other; these rows say how a case got in and by whom it
was looked at. `apps.feedback.models` imports them, so that Django finds them.
"""

import os
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import User
from apps.core.ids import made_at
from apps.core.models import Record
from apps.deployments.models import Deployment

UNDO_WITHIN = timedelta(minutes=10)


def _new_key() -> bytes:
    return os.urandom(32)


def _is_share(name: str) -> Q:
    return Q(**{f"{name}__gte": 0, f"{name}__lte": 1})


class ReviewQueue(Record):
    """What of a deployment's predictions people look at, and how.

    `rules` as `rules.checked` gives them, `reasons` a list of `{"key", "text"}`. `alpha`: the
    share of wrong sets with which a case counts as uncertain, `novelty`: the percentile from which
    it counts as new, each null where that is no way in; `turns_at`: the predicted number at which
    a decision turns. `audit_probability`: the chance of every prediction to enter whatever it is;
    `key` makes that draw reproducible here and unforeseeable elsewhere, and never leaves.
    `double_share`: the share of cases that two people judge; `known_wrong_share`: how many known
    errors are shown for each case that enters.
    """

    class Mode(models.TextChoices):
        ASSISTED = "assisted", "Assisted"
        BLIND = "blind", "Blind first answer"

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="review_queues")
    deployment_id: UUID
    name = models.CharField(max_length=80)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.ASSISTED)
    is_open = models.BooleanField(default=True)
    rules = models.JSONField(default=list)
    audit_probability = models.FloatField(default=0.02)
    alpha = models.FloatField(null=True)
    turns_at = models.FloatField(null=True)
    novelty = models.FloatField(null=True)
    double_share = models.FloatField(default=0)
    known_wrong_share = models.FloatField(default=0)
    claim_minutes = models.SmallIntegerField(default=15)
    reasons = models.JSONField(default=list)
    key = models.BinaryField(default=_new_key)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "name"], name="one_queue_per_name"),
            models.CheckConstraint(
                condition=_is_share("audit_probability")
                & _is_share("double_share")
                & _is_share("known_wrong_share"),
                name="queue_shares_are_shares",
            ),
            models.CheckConstraint(
                condition=Q(alpha=None) | Q(alpha__gt=0, alpha__lt=1), name="queue_alpha_is_one"
            ),
            models.CheckConstraint(
                condition=Q(novelty=None) | Q(novelty__gt=0, novelty__lte=1),
                name="queue_novelty_is_a_percentile",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_blind(self) -> bool:
        return self.mode == self.Mode.BLIND


class ReviewProgress(Record):
    """How far a queue has looked into the seals of one writer of the log: from the one after
    `first` to `seal`. A writer without a row began after the queue, and is looked at whole."""

    queue = models.ForeignKey(ReviewQueue, models.CASCADE, related_name="progress")
    writer = models.UUIDField()
    first = models.BigIntegerField(default=0)
    seal = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["queue", "writer"], name="one_progress_per_writer"),
        ]

    def __str__(self) -> str:
        return f"{self.writer}: {self.seal}"


class ReviewHour(Record):
    """What a queue looked at of one hour's predictions: the stream that its cases stand for.

    `entered` cases, of them `certain` ones whatever the draw; `drawn` by the audit slice, certain
    ones among them.
    """

    queue = models.ForeignKey(ReviewQueue, models.CASCADE, related_name="hours")
    at = models.DateTimeField()
    looked = models.IntegerField(default=0)
    entered = models.IntegerField(default=0)
    certain = models.IntegerField(default=0)
    drawn = models.IntegerField(default=0)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(fields=["queue", "at"], name="one_row_per_queue_and_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H}: {self.entered} of {self.looked}"


class ReviewCaseQuerySet(models.QuerySet["ReviewCase"]):
    def of_stream(self) -> "ReviewCaseQuerySet":
        """Those that stand for the stream: neither known errors shown again, nor predictions from
        before the queue, nor erased ones."""
        return self.filter(is_of_stream=True).exclude(state=ReviewCase.State.WITHDRAWN)

    def open(self) -> "ReviewCaseQuerySet":
        return self.filter(state__in=ReviewCase.OPEN)


class ReviewCase(Record):
    """A prediction in a queue.

    `causes`: why, a list of `{"kind", "words"}`; kinds are those of rules, `uncertain`, `new`,
    `request` and `audit`. `probability`: the chance with which it got in: 1 where `is_certain`,
    else `slice_probability`, that of the audit slice at the time; `is_drawn` where the slice took
    it, certain or not. `is_of_stream`: it is one of the predictions that `ReviewHour.looked`
    counts. `is_seeded`: a known error, shown again to see whether it is found.

    `wanted`: how many people shall judge it, `taken`: how many hold it or have. Whoever changes
    either, or a claim, holds the lock of this row.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ADJUDICATION = "adjudication", "In adjudication"
        DONE = "done", "Done"
        WITHDRAWN = "withdrawn", "Withdrawn"

    OPEN = (State.WAITING, State.ADJUDICATION)

    queue = models.ForeignKey(ReviewQueue, models.CASCADE, db_index=False, related_name="cases")
    queue_id: UUID
    prediction_id = models.UUIDField()
    at = models.DateTimeField()
    causes = models.JSONField(default=list)
    is_certain = models.BooleanField(default=False)
    is_drawn = models.BooleanField(default=False)
    is_of_stream = models.BooleanField(default=True)
    is_seeded = models.BooleanField(default=False)
    probability = models.FloatField()
    slice_probability = models.FloatField()
    priority = models.FloatField(default=1)
    wanted = models.SmallIntegerField(default=1)
    taken = models.SmallIntegerField(default=0)
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    closed_at = models.DateTimeField(null=True)

    objects = ReviewCaseQuerySet.as_manager()

    class Meta:
        ordering = ["-priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "prediction_id"], name="one_case_per_prediction"
            ),
            models.CheckConstraint(
                condition=Q(taken__gte=0) & Q(taken__lte=F("wanted")), name="no_more_than_wanted"
            ),
            models.CheckConstraint(
                condition=Q(is_certain=False) | Q(probability=1), name="certain_is_certain"
            ),
        ]
        indexes = [
            models.Index(
                fields=["queue", "-priority", "id"],
                condition=Q(state__in=["waiting", "adjudication"]),
                name="case_open",
            ),
            models.Index(
                fields=["queue", "-closed_at"], condition=Q(state="done"), name="case_done"
            ),
            models.Index(fields=["prediction_id"], name="case_of_prediction"),
        ]

    def __str__(self) -> str:
        return f"{self.prediction_id}: {self.state}"

    @property
    def predicted_at(self) -> Any:
        return made_at(self.prediction_id)


class Claim(Record):
    """One person's hold on a case, and what came of it.

    `draft`: what was typed so far, kept when the hold ends; `first_answer`: what was said before
    the model's output was revealed, at `revealed_at`; revealed without it, the reviewer looked
    instead of answering. `verdict` and `outcome` (the class or value that is right instead, as in
    `Evaluation.desired_outcome`) are what was answered, and stay so; `evaluation` is what its
    author says now, a later correction. A known error's answer is nowhere but here.
    `is_adjudication`: it decides between others.
    """

    class State(models.TextChoices):
        HELD = "held", "Held"
        ANSWERED = "answered", "Answered"
        SKIPPED = "skipped", "Skipped"
        RELEASED = "released", "Released"
        EXPIRED = "expired", "Expired"

    case = models.ForeignKey(ReviewCase, models.CASCADE, related_name="claims")
    reviewer = models.ForeignKey(User, models.PROTECT, db_index=False, related_name="+")
    at = models.DateTimeField()
    until = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.HELD)
    is_adjudication = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True)
    revealed_at = models.DateTimeField(null=True)
    first_answer = models.JSONField(null=True)
    draft = models.JSONField(default=dict)
    verdict = models.CharField(max_length=10, null=True)
    outcome = models.CharField(max_length=200, null=True)
    spent_ms = models.IntegerField(null=True)
    evaluation = models.ForeignKey(
        "feedback.Evaluation", models.SET_NULL, null=True, related_name="claims"
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["case", "reviewer"],
                condition=Q(state__in=["held", "answered"]),
                name="one_claim_per_case_and_reviewer",
            ),
        ]
        indexes = [
            models.Index(fields=["reviewer", "state", "-id"], name="claim_by_reviewer"),
            models.Index(fields=["until"], condition=Q(state="held"), name="claim_held"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.state}"

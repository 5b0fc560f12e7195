"""The chain of events, the seals over logged records, and signed checkpoints of both."""

from datetime import timedelta

from django.db import models
from django.db.models import Q

from apps.core.models import Record


class Event(Record):
    """One change: who, what, when. A link of the one global chain.

    `hash` = SHA-256(previous_hash ‖ digest), `digest` = SHA-256(salt ‖ canonical JSON of the
    content). `data` is the JSON text as recorded; erasure nulls `data`, `actor_name`,
    `object_name` and `salt`, and keeps the digest.
    """

    number = models.BigIntegerField(unique=True)
    at = models.DateTimeField()
    name = models.CharField(max_length=80)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_name = models.CharField(max_length=200, null=True)
    workspace_id = models.UUIDField(null=True)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=40)
    object_name = models.CharField(max_length=200, null=True)
    data = models.TextField(null=True)
    salt = models.BinaryField(null=True)
    digest = models.BinaryField()
    previous_hash = models.BinaryField()
    hash = models.BinaryField()

    class Meta:
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["workspace_id", "-number"], name="event_by_workspace"),
            models.Index(fields=["object_type", "object_id", "-number"], name="event_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class EventHead(models.Model):
    """The last link of the event chain; its row lock serialises the writers."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)
    hash = models.BinaryField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_event_head")]

    def __str__(self) -> str:
        return f"event {self.number}"


class Writer(models.Model):
    """A process that writes records; it has a chain of seals of its own.

    `number` and `hash` are the last seal's; `rolled_up` is the last seal that the rollups
    contain.
    """

    id = models.UUIDField(primary_key=True)
    started_at = models.DateTimeField()
    number = models.BigIntegerField(default=0)
    hash = models.BinaryField()
    rolled_up = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.id)


class Seal(models.Model):
    """One group commit of a writer: the Merkle root of its records' digests, in order.

    `hash` = SHA-256(canonical JSON of writer, number, time, count, root, previous hash, and the
    first and last record id). Written by the data plane in the transaction of the records.
    """

    writer = models.ForeignKey(Writer, models.PROTECT, related_name="seals")
    number = models.BigIntegerField()
    at = models.DateTimeField()
    count = models.IntegerField()
    first_id = models.UUIDField()
    last_id = models.UUIDField()
    root = models.BinaryField()
    previous_hash = models.BinaryField()
    hash = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["writer", "number"], name="one_seal_per_number")
        ]

    def __str__(self) -> str:
        return f"{self.writer_id} {self.number}"


class Verification(Record):
    """One check of the whole record: asked for by whom, how far it is, and what it found.

    `seen_at` moves while it runs; `done` of `expected` things of `part` are checked. `parts` counts
    what higher layers add to the record, by its name. `problems` holds the first of them as
    `{"chain", "place", "message"}`, `problem_count` counts all.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        INTACT = "intact", "Intact"
        BROKEN = "broken", "Not intact"
        FAILED = "failed", "Did not finish"

    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_name = models.CharField(max_length=200)
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    part = models.CharField(max_length=20, blank=True)
    done = models.BigIntegerField(default=0)
    expected = models.BigIntegerField(default=0)
    events = models.BigIntegerField(default=0)
    seals = models.BigIntegerField(default=0)
    records = models.BigIntegerField(default=0)
    checkpoints = models.BigIntegerField(default=0)
    parts = models.JSONField(default=dict)
    problem_count = models.BigIntegerField(default=0)
    problems = models.JSONField(default=list)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)

    @property
    def took(self) -> timedelta | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


class Checkpoint(Record):
    """All chain heads at one time, signed with Ed25519; a copy goes to VAR_DIR/checkpoints."""

    at = models.DateTimeField()
    content = models.TextField()
    public_key = models.BinaryField()
    signature = models.BinaryField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return self.at.isoformat()

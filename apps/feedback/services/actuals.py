"""What turned out to be true, reported in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from apps.audit import services as audit
from apps.audit.chain import merkle_root
from apps.core.errors import DomainError, Invalid
from apps.core.ids import uuid7
from apps.deployments.models import Deployment, Revision
from apps.deployments.services import model_of
from apps.feedback.authors import Author
from apps.feedback.commitment import commit
from apps.feedback.models import Actual
from apps.feedback.values import Unfit, Value, read
from apps.predictions.models import PredictionRecord

# Ids go as one array: a placeholder for each of ten thousand costs seconds in the driver.
_LOCKED = """
SELECT id, at, output, outcome, revision_id FROM predictions_prediction
WHERE id = ANY(%s) AND deployment_id = %s AND salt IS NOT NULL ORDER BY id FOR UPDATE
"""
_CURRENT = """
SELECT id, prediction_id, at, value FROM feedback_actual
WHERE prediction_id = ANY(%s) AND is_current
"""
_SUPERSEDED = "UPDATE feedback_actual SET is_current = false WHERE id = ANY(%s)"
_CASES = """
SELECT wanted.custom_id, newest.id, newest.count
FROM unnest(%s::text[]) AS wanted (custom_id) CROSS JOIN LATERAL (
  SELECT id, count(*) OVER () AS count FROM predictions_prediction AS p
  WHERE p.deployment_id = %s AND p.custom_id = wanted.custom_id ORDER BY id DESC LIMIT 1
) AS newest
"""
_SHOWN = 60
_NOTHING_THERE = "There is no such prediction of this deployment."

State = Literal["recorded", "repeated", "corrected", "unknown", "invalid"]
_STATUS: dict[State, int] = {
    "recorded": 200,
    "repeated": 200,
    "corrected": 200,
    "unknown": 404,
    "invalid": 400,
}


class TooMany(DomainError):
    """More rows than one call may bring."""

    status = 413


@dataclass(frozen=True, slots=True)
class Given:
    """A row as it came: our id of the prediction, or the caller's own for the case."""

    value: Any
    prediction_id: Any = None
    custom_id: Any = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a row."""

    given: Given
    prediction_id: UUID | None
    state: State
    message: str

    @property
    def status(self) -> int:
        return _STATUS[self.state]


@transaction.atomic
def record_actuals(
    *, deployment: Deployment, rows: Sequence[Given], by: Author, now: datetime
) -> list[Result]:
    """Keeps the actuals that fit, and says of each row what became of it, in their order.

    The same value again changes nothing; another one corrects, and the earlier stays. A custom
    id stands for the newest prediction of the case. One event binds all that was kept. Raises
    TooMany above ACTUALS_MAX_ROWS, Invalid for no rows; nothing is kept then.
    """
    most = settings.ACTUALS_MAX_ROWS
    if len(rows) > most:
        raise TooMany(f"{len(rows):,} actuals came in one call; send at most {most:,} at a time.")
    if not rows:
        raise Invalid("There are no actuals in this call; send at least one.")
    batch = _Batch(deployment, by, now)
    batch.look_up(rows)
    results = [batch.take(row) for row in rows]
    batch.keep()
    return results


@dataclass
class _Batch:
    """The rows of one call on their way into the database."""

    deployment: Deployment
    by: Author
    now: datetime
    id: UUID = field(default_factory=uuid7)
    made: list[Actual] = field(default_factory=list)
    superseded: list[UUID] = field(default_factory=list)
    records: dict[UUID, PredictionRecord] = field(default_factory=dict)
    current: dict[UUID, Actual] = field(default_factory=dict)
    cases: dict[str, tuple[UUID, int]] = field(default_factory=dict)
    metadata: dict[UUID | None, dict[str, Any]] = field(default_factory=dict)

    def look_up(self, rows: Sequence[Given]) -> None:
        """Reads what the rows speak of, and locks it against erasure and other batches."""
        own = [row.custom_id for row in rows if isinstance(row.custom_id, str)]
        self.cases = newest_of_cases(self.deployment, own)
        wanted = {identifier for row in rows if (identifier := self._identifier(row)) is not None}
        locked = PredictionRecord.objects.raw(_LOCKED, [list(wanted), self.deployment.id])
        self.records = {record.id: record for record in locked}
        current = Actual.objects.raw(_CURRENT, [list(self.records)])
        self.current = {actual.prediction_id: actual for actual in current}

    def take(self, row: Given) -> Result:
        faulty = _fault_of_key(row)
        if faulty:
            return Result(row, None, "invalid", faulty)
        identifier = self._identifier(row)
        record = self.records.get(identifier) if identifier else None
        if record is None:
            return Result(row, identifier, "unknown", _NOTHING_THERE)
        try:
            value = read(row.value, self._metadata_of(record), record.output_value)
        except Unfit as error:
            return Result(row, record.id, "invalid", str(error))
        state, message = self._put(record, value)
        return Result(row, record.id, state, message + self._which(row))

    def keep(self) -> None:
        """Writes what is new, and the event that binds it."""
        if not self.made:
            return
        with connection.cursor() as cursor:
            if self.superseded:
                cursor.execute(_SUPERSEDED, [self.superseded])
            _copy(cursor, self.made)
        corrected = sum(actual.supersedes_id is not None for actual in self.made)
        audit.record(
            name="actuals.recorded",
            by=self.by.actor,
            workspace_id=self.deployment.workspace_id,
            object_type="actuals",
            object_id=self.id,
            object_name=self.deployment.name,
            data={
                "deploymentId": self.deployment.id,
                "count": len(self.made),
                "corrected": corrected,
                "root": merkle_root([bytes(actual.digest) for actual in self.made]).hex(),
            },
            at=self.now,
        )

    def _put(self, record: PredictionRecord, value: Value) -> tuple[State, str]:
        before = self.current.get(record.id)
        if before is not None and before.value == value.text:
            return "repeated", f"Nothing changed: this was recorded at {before.at.isoformat()}."
        actual = Actual(
            prediction_id=record.id,
            predicted_at=record.at,
            predicted_outcome=record.outcome,
            deployment_id=self.deployment.id,
            at=self.now,
            supersedes_id=before.id if before else None,
            author_kind=self.by.kind,
            author_id=self.by.id,
            author_name=self.by.name[:200],
            key_pair_id=self.by.key_pair_id,
            value=value.text,
            outcome=value.outcome,
            batch=self.id,
        )
        commit(actual)
        self.made.append(actual)
        self.current[record.id] = actual
        if before is None:
            return "recorded", "Recorded."
        before.is_current = False
        self.superseded.append(before.id)
        return "corrected", f"Corrected; before, it was {_shown(before.value or '')}."

    def _identifier(self, row: Given) -> UUID | None:
        if row.custom_id is not None:
            found = self.cases.get(row.custom_id) if isinstance(row.custom_id, str) else None
            return found[0] if found else None
        return _uuid(row.prediction_id)

    def _which(self, row: Given) -> str:
        count = self.cases[row.custom_id][1] if row.custom_id is not None else 1
        if count == 1:
            return ""
        return f" {count:,} predictions have this custom id; this is the newest of them."

    def _metadata_of(self, record: PredictionRecord) -> dict[str, Any]:
        key = record.revision_id
        if key not in self.metadata:
            revision = self._revisions.get(key) if key else None
            self.metadata[key] = model_of(revision).metadata if revision else {}
        return self.metadata[key]

    @cached_property
    def _revisions(self) -> dict[UUID, Revision]:
        used = {record.revision_id for record in self.records.values() if record.revision_id}
        found = Revision.objects.filter(id__in=used)
        return {each.id: each for each in found.prefetch_related("components__model_version")}


def newest_of_cases(
    deployment: Deployment, custom_ids: Sequence[str]
) -> dict[str, tuple[UUID, int]]:
    """The newest prediction of each case that there is, and how many the case has."""
    if not custom_ids:
        return {}
    wanted = {each for each in custom_ids if "\x00" not in each}
    with connection.cursor() as cursor:
        cursor.execute(_CASES, [list(wanted), deployment.id])
        return {case: (identifier, count) for case, identifier, count in cursor.fetchall()}


def _copy(cursor: Any, made: Sequence[Actual]) -> None:
    """Writes the rows as `bulk_create` would, in one stream."""
    fields = Actual._meta.concrete_fields
    names = ", ".join(str(field.column) for field in fields)
    with cursor.copy(f"COPY feedback_actual ({names}) FROM STDIN") as copy:
        for actual in made:
            copy.write_row([field.pre_save(actual, add=True) for field in fields])


def _fault_of_key(row: Given) -> str:
    if row.custom_id is not None:
        return "" if isinstance(row.custom_id, str) else "A custom id is text."
    if _uuid(row.prediction_id) is None:
        return f"{_shown(str(row.prediction_id))} is no id of a prediction, which is a UUID."
    return ""


def _uuid(value: Any) -> UUID | None:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

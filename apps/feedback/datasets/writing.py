"""Writes a data set that was asked for; what the worker does."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import pyarrow as pa
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.actor import Actor
from apps.deployments.models import Deployment
from apps.deployments.services import model_of
from apps.feedback.datasets import files
from apps.feedback.datasets.columns import Columns, Labelled, columns_of
from apps.feedback.datasets.models import DataSetExport
from apps.feedback.datasets.rows import labelled_rows
from apps.feedback.datasets.services import LOCK, note
from apps.feedback.datasets.settings import from_wire

State = DataSetExport.State
_FAILED = "It could not be written; the worker's log says why. Ask again."


class _Overtaken(Exception):
    """What is being written has become outdated."""


def write_dataset(*, identifier: UUID, now: datetime) -> str:
    """Writes a data set that waits, once; how it ended. Another delivery does nothing."""
    if not _begin(identifier, now):
        return "nothing to do"
    dataset = DataSetExport.objects.select_related("deployment").get(id=identifier)
    rows = _Rows(_columns(dataset.deployment))
    wanted = from_wire(dataset.format, dataset.filters)
    try:
        with labelled_rows(dataset.deployment, wanted) as pages:
            written = files.write(
                dataset.path,
                dataset.format,
                rows.columns.schema,
                rows.batches(pages),
                lambda count: _tell(identifier, count),
            )
    except _Overtaken:
        return str(State.OUTDATED)
    except Exception:
        DataSetExport.objects.filter(id=identifier, state=State.WRITING).update(
            state=State.FAILED, state_at=timezone.now(), reason=_FAILED
        )
        raise
    return _finish(dataset, rows, written)


class _Rows:
    """The rows in batches, and the first and last id among them."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.first: UUID | None = None
        self.last: UUID | None = None

    def batches(self, pages: Iterator[list[Labelled]]) -> Iterator[pa.RecordBatch]:
        for rows in pages:
            self.first = self.first or rows[0].id
            self.last = rows[-1].id
            yield self.columns.batch(rows)


@transaction.atomic
def _begin(identifier: UUID, now: datetime) -> bool:
    """Claims it. Waits for erasures under way: those that come later see that it is written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])
    waiting = DataSetExport.objects.filter(id=identifier, state=State.WAITING)
    return waiting.update(state=State.WRITING, state_at=now, started_at=now) == 1


def _tell(identifier: UUID, rows: int) -> None:
    writing = DataSetExport.objects.filter(id=identifier, state=State.WRITING)
    if writing.update(written=rows, state_at=timezone.now()) != 1:
        raise _Overtaken


def _columns(deployment: Deployment) -> Columns:
    revisions = deployment.revisions.order_by("-number")
    known = revisions.prefetch_related("components__model_version")
    return columns_of((each.id, each.number, model_of(each).metadata) for each in known)


@transaction.atomic
def _finish(dataset: DataSetExport, rows: _Rows, written: files.Written) -> str:
    """Ready, with its event; where it was overtaken meanwhile, the file goes."""
    now = timezone.now()
    writing = DataSetExport.objects.filter(id=dataset.id, state=State.WRITING)
    is_ready = writing.update(
        state=State.READY,
        state_at=now,
        written=written.rows,
        rows=written.rows,
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        first_id=rows.first,
        last_id=rows.last,
        columns=rows.columns.schema.names,
    )
    if is_ready != 1:
        files.remove(dataset.path)
        return str(State.OUTDATED)
    facts = {"format": dataset.format, "rows": written.rows, "sha256": written.sha256}
    # The values of filters may be personal; their names are not.
    facts["filters"] = [name for name, value in dataset.filters.items() if value]
    note("dataset.exported", dataset, Actor(**dataset.by), now, facts)
    return str(State.READY)

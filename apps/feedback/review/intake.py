"""Looks at what is new in the log, and puts into a queue what it wants.

It goes by the seals of the log's writers, as the rollups do: each prediction is looked at once,
however late its commit and whoever dies in between. A chunk is one transaction with the progress.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from apps.audit.models import Seal, Writer
from apps.core.ids import made_at
from apps.feedback.models import ReviewCase, ReviewHour, ReviewProgress, ReviewQueue
from apps.feedback.review import known
from apps.feedback.review.causes import Chances, Draws, Entry
from apps.feedback.review.selection import Selections
from apps.feedback.review.subjects import FIELDS
from apps.predictions.models import PredictionRecord

_MOST_CHUNKS = 100
_CHUNK_RECORDS = 5_000
_CHUNK_SEALS = 2_000
_BLOCK_ROWS = 2_000


def take_in(*, queue: ReviewQueue, now: datetime, most: int = 20_000) -> int:
    """Looks at predictions that no chunk has looked at yet, until `most` of them or none are
    left; returns how many. At once 0 where the queue is closed or another process is at it."""
    selections = Selections(queue.deployment, queue)
    looked = 0
    for _ in range(_MOST_CHUNKS):
        found = _take_chunk(queue, selections, now) if looked < most else None
        if found is None:
            break
        looked += found
    return looked


def behind(queues: QuerySet[ReviewQueue]) -> QuerySet[ReviewQueue]:
    """Those of the queues that have not looked at all of the log."""
    return queues.filter(Exists(_writers_ahead(OuterRef(OuterRef("id")))))


def start_from_now(queue: ReviewQueue) -> None:
    """What the log holds already is none of the queue's stream; what comes next is."""
    rows = [
        ReviewProgress(queue=queue, writer=writer, first=number, seal=number)
        for writer, number in Writer.objects.values_list("id", "number")
    ]
    ReviewProgress.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["queue", "writer"],
        update_fields=["first", "seal"],
        batch_size=1_000,
    )


def was_looked_at(queue: ReviewQueue, record: PredictionRecord) -> bool:
    """True where a prediction is one of those that the queue's hours count."""
    found = ReviewProgress.objects.filter(queue=queue, writer=record.writer)
    return found.filter(first__lt=record.seal, seal__gte=record.seal).exists()


@dataclass
class _Chunk:
    """What one transaction finds, and counts by the hour of the predictions."""

    queue: ReviewQueue
    chances: Chances
    selections: Selections
    now: datetime
    hours: dict[datetime, Counter[str]] = field(default_factory=dict)

    def look(self, records: Sequence[PredictionRecord]) -> None:
        """One block of predictions, none of them erased."""
        causes = self.selections.causes(records)
        entries = {
            record.id: entry
            for record in records
            if (entry := self.chances.entry(record.id, causes[record.id])) is not None
        }
        asked = self._asked_for([record.id for record in records])
        kept = _unerased(list(entries))
        for case in asked.values():
            self._merge(case, entries.get(case.prediction_id))
        new = [entries[each] for each in kept if each not in asked]
        ReviewCase.objects.bulk_create([self._case(entry) for entry in new], batch_size=500)
        self._count(records, new, list(asked.values()))
        if self.queue.known_wrong_share:
            draws = self.chances.draws
            count = sum(
                draws.takes("known", entry.prediction_id, self.queue.known_wrong_share)
                for entry in new
            )
            known.seed(queue=self.queue, count=count, draws=draws, now=self.now)

    def keep_hours(self) -> None:
        for at, counts in sorted(self.hours.items()):
            ReviewHour.objects.get_or_create(queue=self.queue, at=at)
            more = {name: F(name) + number for name, number in counts.items()}
            ReviewHour.objects.filter(queue=self.queue, at=at).update(**more)

    def _asked_for(self, ids: list[UUID]) -> dict[UUID, ReviewCase]:
        """Cases that a person's request made before their prediction was looked at."""
        found = ReviewCase.objects.select_for_update().filter(
            queue=self.queue, prediction_id__in=ids
        )
        return {case.prediction_id: case for case in found.order_by("id")}

    def _merge(self, case: ReviewCase, entry: Entry | None) -> None:
        case.is_of_stream = True
        case.slice_probability = self.chances.audit
        if entry is not None and case.state != ReviewCase.State.WITHDRAWN:
            case.is_drawn = entry.is_drawn
            case.causes = case.causes + [cause.row for cause in entry.causes]
        case.save(update_fields=["is_of_stream", "slice_probability", "is_drawn", "causes"])

    def _case(self, entry: Entry) -> ReviewCase:
        return ReviewCase(
            queue=self.queue,
            prediction_id=entry.prediction_id,
            at=self.now,
            causes=[cause.row for cause in entry.causes],
            is_certain=entry.is_certain,
            is_drawn=entry.is_drawn,
            probability=entry.probability,
            slice_probability=self.chances.audit,
            priority=entry.priority,
            wanted=entry.wanted,
        )

    def _count(
        self,
        records: Sequence[PredictionRecord],
        entries: Sequence[Entry],
        asked: Sequence[ReviewCase],
    ) -> None:
        for record in records:
            self._hour(record.id)["looked"] += 1
        for entry in entries:
            self._add(entry.prediction_id, entry.is_certain, entry.is_drawn)
        for case in asked:
            self._add(case.prediction_id, case.is_certain, case.is_drawn)

    def _add(self, prediction: UUID, is_certain: bool, is_drawn: bool) -> None:
        hour = self._hour(prediction)
        hour.update(entered=1, certain=int(is_certain), drawn=int(is_drawn))

    def _hour(self, prediction: UUID) -> Counter[str]:
        at = made_at(prediction).replace(minute=0, second=0, microsecond=0)
        return self.hours.setdefault(at, Counter())


@transaction.atomic
def _take_chunk(queue: ReviewQueue, selections: Selections, now: datetime) -> int | None:
    """How many predictions it looked at; None where nothing is left, or not for us."""
    locked = ReviewQueue.objects.select_for_update(
        skip_locked=True, of=("self",), no_key=True
    ).filter(id=queue.id, is_open=True)
    current = locked.select_related("deployment").first()
    if current is None:
        return None
    selections.renew(current)
    progress = _next_writer(current)
    seals = _next_seals(progress) if progress else []
    if progress is None or not seals:
        return None
    chances = Chances(current.audit_probability, current.double_share, Draws(bytes(current.key)))
    chunk = _Chunk(current, chances, selections, now)
    looked = 0
    for block in _blocks(current, progress.writer, seals):
        chunk.look(block)
        looked += len(block)
    chunk.keep_hours()
    progress.seal = seals[-1].number
    progress.save()
    return looked


def _next_writer(queue: ReviewQueue) -> ReviewProgress | None:
    """The progress in a writer that has more; one that began since the queue starts at 0."""
    writer = _writers_ahead(queue).order_by("started_at").first()
    if writer is None:
        return None
    return ReviewProgress.objects.get_or_create(queue=queue, writer=writer.id)[0]


def _writers_ahead(queue: Any) -> QuerySet[Writer]:
    """Those with seals that the queue has not looked at."""
    mine = ReviewProgress.objects.filter(queue=queue, writer=OuterRef("id"))
    reached = Coalesce(Subquery(mine.values("seal")), 0, output_field=BigIntegerField())
    return Writer.objects.annotate(reached=reached).filter(number__gt=F("reached"))


def _next_seals(progress: ReviewProgress) -> list[Seal]:
    found = Seal.objects.filter(writer=progress.writer, number__gt=progress.seal)
    taken: list[Seal] = []
    records = 0
    for seal in found.order_by("number")[:_CHUNK_SEALS]:
        if taken and records + seal.count > _CHUNK_RECORDS:
            break
        taken.append(seal)
        records += seal.count
    return taken


def _blocks(
    queue: ReviewQueue, writer: UUID, seals: Sequence[Seal]
) -> Iterator[list[PredictionRecord]]:
    """The deployment's predictions under consecutive seals; one seal may hold more than memory
    should. The range of their ids keeps the reading to the partitions where they lie."""
    within: dict[str, Any] = {
        "deployment": queue.deployment_id,
        "writer": writer,
        "seal__gte": seals[0].number,
        "seal__lte": seals[-1].number,
        "id__gte": min(seal.first_id for seal in seals),
        "id__lte": max(seal.last_id for seal in seals),
        "salt__isnull": False,
    }
    rows = PredictionRecord.objects.filter(**within).order_by("id").only(*FIELDS)
    found = rows.iterator(chunk_size=_BLOCK_ROWS)
    while block := list(itertools.islice(found, _BLOCK_ROWS)):
        yield block


def _unerased(ids: Sequence[UUID]) -> list[UUID]:
    """Those that still have content, held off from erasure until the transaction ends."""
    locked = PredictionRecord.objects.select_for_update(of=("self",), no_key=True)
    found = locked.filter(id__in=ids, salt__isnull=False).order_by("id")
    return list(found.values_list("id", flat=True))

"""The records of a bundle: whole seals, or the records of some deployments with their paths."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Min

from apps.audit.chain import merkle_path
from apps.audit.models import Seal, Writer
from apps.core.ids import first_at
from apps.predictions.models import LogRecord, PredictionRecord, RequestRecord
from apps.predictions.verification import content_of

_KINDS: tuple[tuple[str, Any], ...] = (
    ("request", RequestRecord),
    ("prediction", PredictionRecord),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose records: those of some deployments, or all."""

    deployments: frozenset[UUID] | None

    @property
    def everything(self) -> bool:
        return self.deployments is None


def first_seals(
    deployments: frozenset[UUID] | None, since: datetime | None
) -> dict[UUID, int] | None:
    """The first seal of each writer that holds what is wanted; None where all of them do."""
    if deployments is None and since is None:
        return None
    if deployments is None:
        assert since is not None
        found = Seal.objects.filter(at__gte=since).values("writer_id").annotate(first=Min("number"))
        return {row["writer_id"]: row["first"] for row in found}
    starts: dict[UUID, int] = {}
    for _, model in _KINDS:
        records = model.objects.filter(deployment__in=deployments).order_by()
        if since is not None:
            records = records.filter(id__gte=first_at(since))
        for row in records.values("writer").annotate(first=Min("seal")):
            starts[row["writer"]] = min(row["first"], starts.get(row["writer"], row["first"]))
    return starts


def record_lines(writer: Writer, seals: list[Seal], wanted: Wanted) -> list[dict[str, Any]]:
    """The wanted records under some consecutive seals, in the order in which they were sealed."""
    within = {
        "writer": writer.id,
        "seal__gte": seals[0].number,
        "seal__lte": seals[-1].number,
    }
    if not wanted.everything:
        within["deployment__in"] = wanted.deployments
    found: list[tuple[str, LogRecord]] = [
        (kind, record) for kind, model in _KINDS for record in model.objects.filter(**within)
    ]
    found.sort(key=lambda pair: (pair[1].seal, pair[1].id))
    if wanted.everything:
        return [_line(kind, record) for kind, record in found]
    leaves = _leaves(writer, {record.seal for _, record in found})
    return [_line(kind, record) | _path(record, leaves[record.seal]) for kind, record in found]


def _line(kind: str, record: LogRecord) -> dict[str, Any]:
    """An erased record has no salt; its content is what the erasure left."""
    return {
        "kind": kind,
        "writer": str(record.writer),
        "seal": record.seal,
        "id": str(record.id),
        "digest": bytes(record.digest).hex(),
        "salt": bytes(record.salt or b"").hex() if record.salt is not None else None,
        "content": content_of(record),
    }


Leaves = list[tuple[UUID, bytes]]


def _leaves(writer: Writer, seals: set[int]) -> dict[int, Leaves]:
    """Ids and digests of all records under some seals, in the order of the seal."""
    leaves: dict[int, Leaves] = defaultdict(list)
    for _, model in _KINDS:
        rows = model.objects.filter(writer=writer.id, seal__in=seals)
        for seal, identifier, digest in rows.values_list("seal", "id", "digest"):
            leaves[seal].append((identifier, bytes(digest)))
    for rows in leaves.values():
        rows.sort()
    return leaves


def _path(record: LogRecord, leaves: Leaves) -> dict[str, Any]:
    index = [identifier for identifier, _ in leaves].index(record.id)
    path = merkle_path([digest for _, digest in leaves], index)
    return {"index": index, "path": [step.hex() for step in path]}

"""Checks every writer's chain of seals and every record under them, and names what is broken."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from apps.audit.chain import GENESIS, Problem, merkle_root, seal_hash
from apps.audit.models import Seal, Writer
from apps.audit.verification import Tick, uncounted
from apps.core.canonical import digest
from apps.predictions.erasure import erasure_fault, verify_erasures
from apps.predictions.gateway.record import prediction_content, request_content
from apps.predictions.models import LogRecord, PredictionRecord, RequestRecord

_SEALS_AT_ONCE = 1000
_RECORDS_AT_ONCE = 5000
_MOST_STRAYS = 20


def verify_seals(tick: Tick = uncounted) -> Iterator[Problem]:
    """Walks the seals of every writer in order, the records of each seal, and the erasures."""
    for writer in Writer.objects.order_by("started_at", "id"):
        yield from _verify_writer(writer, tick)
    yield from _verify_unsealed()
    yield from verify_erasures()


def _verify_writer(writer: Writer, tick: Tick) -> Iterator[Problem]:
    """The head is that from before the walk and, for what came since, that from after it."""
    number, previous = 0, GENESIS
    chain = f"seals of writer {writer.id}"
    for seals in seal_batches(writer.id):
        for seal in seals:
            if seal.number != number + 1:
                text = f"seal {number + 1} is missing before it"
                yield Problem(chain, f"seal {seal.number}", text)
            elif bytes(seal.previous_hash) != previous:
                text = "it does not follow the seal before it"
                yield Problem(chain, f"seal {seal.number}", text)
            if _hash_of(seal) != bytes(seal.hash):
                yield Problem(chain, f"seal {seal.number}", "its content is not what was sealed")
            number, previous = seal.number, bytes(seal.hash)
        yield from _verify_records(chain, writer.id, seals)
        tick("seals", len(seals))
        tick("records", sum(seal.count for seal in seals))
    yield from _verify_strays(chain, writer.id, number)
    yield from _verify_head(chain, writer, number, previous)


def seal_batches(writer: UUID, start: int = 1, last: int | None = None) -> Iterator[list[Seal]]:
    """A writer's seals in order, as many at once as hold some thousand records."""
    number, batch, records = start - 1, list[Seal](), 0
    while True:
        found = Seal.objects.filter(writer_id=writer, number__gt=number)
        if last is not None:
            found = found.filter(number__lte=last)
        seals = list(found.order_by("number")[:_SEALS_AT_ONCE])
        for seal in seals:
            batch.append(seal)
            records += seal.count
            if records >= _RECORDS_AT_ONCE:
                yield batch
                batch, records = [], 0
        if not seals:
            break
        number = seals[-1].number
    if batch:
        yield batch


def _verify_head(chain: str, before: Writer, number: int, last: bytes) -> Iterator[Problem]:
    now = Writer.objects.get(pk=before.pk)
    place = f"seal {number}"
    if number < before.number:
        text = f"the chain ends here, but seal {before.number} was written last"
        yield Problem(chain, place, f"{text}: its tail was cut")
    elif number > now.number:
        yield Problem(chain, place, f"it stands behind seal {now.number}, which was written last")
    elif number == now.number and last != bytes(now.hash):
        yield Problem(chain, place, "it is not the seal that was written last")


def _verify_strays(chain: str, writer: UUID, last: int) -> Iterator[Problem]:
    """Records that name a seal which the writer has not written."""
    for model in (RequestRecord, PredictionRecord):
        found = model.objects.filter(Q(seal__lt=1) | Q(seal__gt=last), writer=writer)
        for record in found.order_by("seal")[:_MOST_STRAYS]:
            if not Seal.objects.filter(writer_id=writer, number=record.seal).exists():
                text = f"it names seal {record.seal}, which does not exist"
                yield Problem(chain, f"{model.__name__} {record.id}", text)


def _verify_records(chain: str, writer: UUID, seals: list[Seal]) -> Iterator[Problem]:
    """Recomputes digests and Merkle roots of the records under some consecutive seals."""
    if not seals:
        return
    within = {
        "writer": writer,
        "seal__gte": seals[0].number,
        "seal__lte": seals[-1].number,
    }
    found: dict[int, list[LogRecord]] = {seal.number: [] for seal in seals}
    for request in RequestRecord.objects.filter(**within):
        found.setdefault(request.seal, []).append(request)
    for prediction in PredictionRecord.objects.filter(**within):
        found.setdefault(prediction.seal, []).append(prediction)
    for seal in seals:
        yield from _verify_seal(chain, seal, sorted(found[seal.number], key=lambda r: r.id))


def _verify_seal(chain: str, seal: Seal, records: list[LogRecord]) -> Iterator[Problem]:
    broken = False
    for record in records:
        if record.salt is not None and digest(bytes(record.salt), content_of(record)) != bytes(
            record.digest
        ):
            broken = True
            kind = "prediction" if isinstance(record, PredictionRecord) else "request"
            place = f"seal {seal.number}, {kind} {record.id}"
            yield Problem(chain, place, "its content is not what was recorded")
    if len(records) != seal.count:
        text = f"{seal.count} records were sealed, {len(records)} are here"
        if len(records) and records[-1].id != seal.last_id:
            text += f"; the last, {seal.last_id}, is gone"
        yield Problem(chain, f"seal {seal.number}", text)
    elif not broken and merkle_root([bytes(r.digest) for r in records]) != bytes(seal.root):
        text = "its records are not the ones that were sealed, or not in that order"
        yield Problem(chain, f"seal {seal.number}", text)


@dataclass(frozen=True, slots=True)
class Step:
    """One statement about a record, and whether it holds."""

    says: str
    holds: bool


def steps_of(record: LogRecord) -> list[Step]:
    """Checks one record from its content up to its place in the chain, now."""
    seal = Seal.objects.filter(writer_id=record.writer, number=record.seal).first()
    return [_content_step(record), *(_seal_steps(record, seal) if seal else [_NO_SEAL])]


_NO_SEAL = Step("It stands under a seal", False)


def _content_step(record: LogRecord) -> Step:
    if record.salt is None or record.erased_at is not None:
        return Step("Its content was erased, as an event says", erasure_fault(record) is None)
    matches = digest(bytes(record.salt), content_of(record)) == bytes(record.digest)
    return Step("Its content has the digest that was recorded", matches)


def _seal_steps(record: LogRecord, seal: Seal) -> list[Step]:
    within = {"writer": record.writer, "seal": record.seal}
    leaves = sorted(
        [
            *RequestRecord.objects.filter(**within).values_list("id", "digest"),
            *PredictionRecord.objects.filter(**within).values_list("id", "digest"),
        ]
    )
    root = merkle_root([bytes(value) for _, value in leaves])
    around = Seal.objects.filter(
        writer=seal.writer_id, number__in=[seal.number - 1, seal.number + 1]
    )
    beside = {each.number: each for each in around}
    before, after = beside.get(seal.number - 1), beside.get(seal.number + 1)
    previous = bytes(before.hash) if before else GENESIS
    follows = bytes(seal.previous_hash) == previous and (before is not None or seal.number == 1)
    if after is not None:
        carried = bytes(after.previous_hash) == bytes(seal.hash)
    else:
        carried = (seal.writer.number, bytes(seal.writer.hash)) == (seal.number, bytes(seal.hash))
    return [
        Step("Its digest is in the seal, beside the others", root == bytes(seal.root)),
        Step("The seal is what was written", _hash_of(seal) == bytes(seal.hash)),
        Step("It follows the seal before it", follows),
        Step("What came after it builds on it", carried),
    ]


def _verify_unsealed() -> Iterator[Problem]:
    """Records that name a writer that does not exist."""
    writers = Writer.objects.values("id")
    for model in (RequestRecord, PredictionRecord):
        for record in model.objects.exclude(writer__in=writers)[:20]:
            text = f"it names writer {record.writer}, which does not exist"
            yield Problem("records", f"{model.__name__} {record.id}", text)


def content_of(record: LogRecord) -> dict[str, object]:
    """What the digest of a stored record commits to."""
    if isinstance(record, PredictionRecord):
        return prediction_content(record)
    assert isinstance(record, RequestRecord)
    return request_content(record)


def _hash_of(seal: Seal) -> bytes:
    return seal_hash(
        writer=seal.writer_id,
        number=seal.number,
        at=seal.at,
        count=seal.count,
        first_id=seal.first_id,
        last_id=seal.last_id,
        root=bytes(seal.root),
        previous_hash=bytes(seal.previous_hash),
    )

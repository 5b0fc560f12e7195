"""Whether one record is what was sealed, and the path that proves it."""

from dataclasses import dataclass

from apps.audit.chain import merkle_path, merkle_root
from apps.audit.models import Seal
from apps.core.canonical import digest
from apps.predictions.models import LogRecord, PredictionRecord, RequestRecord
from apps.predictions.verification import content_of


@dataclass(frozen=True, slots=True)
class Proof:
    """`state`: intact, altered, erased (its digest is still sealed) or unsealed.

    `index` is the record's place among the `count` leaves of its seal, `path` the RFC 6962 audit
    path from it to the root, lowest first.
    """

    state: str
    seal: Seal | None
    index: int
    count: int
    path: list[bytes]


def proof_of(record: LogRecord) -> Proof:
    """Recomputes the record's digest and the root of its seal, now."""
    seal = Seal.objects.filter(writer_id=record.writer, number=record.seal).first()
    leaves = leaves_of(record)
    digests = [value for _, value in leaves]
    index = [identifier for identifier, _ in leaves].index(record.id)
    path = merkle_path(digests, index)
    if seal is None or seal.count != len(leaves) or merkle_root(digests) != bytes(seal.root):
        state = "unsealed"
    elif record.salt is None:
        state = "erased"
    elif digest(bytes(record.salt), content_of(record)) != bytes(record.digest):
        state = "altered"
    else:
        state = "intact"
    return Proof(state, seal, index, len(leaves), path)


def leaves_of(record: LogRecord) -> list[tuple[object, bytes]]:
    """Ids and digests of all records under the record's seal, in the order of the seal."""
    within = {"writer": record.writer, "seal": record.seal}
    found = [
        *RequestRecord.objects.filter(**within).values_list("id", "digest"),
        *PredictionRecord.objects.filter(**within).values_list("id", "digest"),
    ]
    return [(identifier, bytes(value)) for identifier, value in sorted(found)]

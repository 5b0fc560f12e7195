"""The arithmetic of the chains: Merkle roots, seals, links. Pure functions.

The Merkle tree is that of RFC 6962 (Certificate Transparency), section 2.1: leaves and nodes are
hashed with different prefixes, and an uneven level splits at the largest power of two.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.core.canonical import canonical

GENESIS = b"\x00" * 32


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken link: in which chain, at which place, and what does not hold."""

    chain: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.chain}, {self.place}: {self.message}"


def merkle_root(digests: Sequence[bytes]) -> bytes:
    """The RFC 6962 tree hash of the digests in their order."""
    if not digests:
        return hashlib.sha256(b"").digest()
    level = [hashlib.sha256(b"\x00" + digest).digest() for digest in digests]
    while len(level) > 1:
        level = _above(level)
    return level[0]


def merkle_path(digests: Sequence[bytes], index: int) -> list[bytes]:
    """The RFC 6962 audit path of one leaf: the hashes that lead from it to the root."""
    level = [hashlib.sha256(b"\x00" + digest).digest() for digest in digests]
    path = []
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        level, index = _above(level), index // 2
    return path


def _above(level: list[bytes]) -> list[bytes]:
    """The next level of the tree; an odd node rises as it is."""
    pairs = [
        hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
        for i in range(0, len(level) - 1, 2)
    ]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


def seal_hash(
    *,
    writer: UUID,
    number: int,
    at: datetime,
    count: int,
    first_id: UUID,
    last_id: UUID,
    root: bytes,
    previous_hash: bytes,
) -> bytes:
    """SHA-256 over all that a seal says, the previous seal's hash included."""
    content = {
        "writer": str(writer),
        "number": number,
        "at": microseconds(at),
        "count": count,
        "firstId": str(first_id),
        "lastId": str(last_id),
        "root": root.hex(),
        "previousHash": previous_hash.hex(),
    }
    return hashlib.sha256(canonical(content)).digest()


def link_hash(previous_hash: bytes, digest: bytes) -> bytes:
    """The hash of an event: SHA-256 of the previous event's hash and its own digest."""
    return hashlib.sha256(previous_hash + digest).digest()


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, as records write times."""
    return round(moment.timestamp() * 1_000_000)

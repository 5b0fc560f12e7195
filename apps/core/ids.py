"""UUIDv7 (RFC 9562): identifiers that sort by the time at which they were made."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_RANDOM_BITS = 74
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """A new UUIDv7; within one process each is greater than the one before."""
    global _last
    random = int.from_bytes(os.urandom(10)) & ((1 << _RANDOM_BITS) - 1)
    value = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | random
    with _lock:
        _last = value = value if value > _last else _last + 1
    return _from_bits(value)


def first_at(moment: datetime) -> UUID:
    """The smallest UUIDv7 of the millisecond `moment`: a lower bound for ids made from then on."""
    return _from_bits((moment - _EPOCH) // timedelta(milliseconds=1) << _RANDOM_BITS)


def made_at(identifier: UUID) -> datetime:
    """The time in a UUIDv7, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=identifier.int >> 80)


def _from_bits(value: int) -> UUID:
    """Places 48 bits of time, 12 and 62 random bits around the version and the variant."""
    high, low = value >> 62, value & ((1 << 62) - 1)
    stamp, middle = high >> 12, high & 0xFFF
    return UUID(int=(stamp << 80) | (0x7 << 76) | (middle << 64) | (0b10 << 62) | low)

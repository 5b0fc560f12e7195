"""Who builds: advisory locks that PostgreSQL frees when their holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.utils import CursorWrapper

_CLASS = 0x454E5653
_SLOT = 0


@contextmanager
def building(build_id: UUID) -> Iterator[bool]:
    """True while this process alone builds; False where another one does.

    One build at a time in an installation: builds take the network, the disk and a worker that
    other tasks wait for. The locks live on a connection of their own, and end with it.
    """
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with own.cursor() as cursor:
            taken = all(_take(cursor, key) for key in (_SLOT, _key(build_id)))
        yield taken
    finally:
        own.close()


def _take(cursor: CursorWrapper, key: int) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_CLASS, key])
    return bool(cursor.fetchone()[0])


def is_building(build_id: UUID) -> bool:
    """True where a living process holds the lock of this build."""
    return _is_held(_key(build_id))


def somebody_builds() -> bool:
    """True while any build is carried out."""
    return _is_held(_SLOT)


def _is_held(key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE locktype = 'advisory' AND classid = %s AND objid = %s "
            "AND granted AND d.datname = current_database()",
            [_CLASS, key],
        )
        return cursor.fetchone() is not None


def _key(build_id: UUID) -> int:
    """31 bits of the random part; never the slot's number."""
    return (build_id.int & 0x7FFFFFFF) or 1

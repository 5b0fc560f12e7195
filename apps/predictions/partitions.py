"""Monthly partitions of the log, made ahead of time.

Ids are UUIDv7, so a range of ids is a range of time. A default partition is the net for records
whose month was not prepared; nothing is ever refused for want of a partition.
"""

from datetime import UTC, datetime

from django.db import connection, transaction

from apps.core.ids import first_at

TABLES = ("predictions_request", "predictions_prediction")
_AHEAD = 3


def ensure(*, now: datetime, ahead: int = _AHEAD) -> list[str]:
    """Makes the partitions of this month and the next ones; returns the names of new ones.

    A month whose records already lie in the default partition stays there.
    """
    made = []
    for table in TABLES:
        for number in range(ahead + 1):
            start, end = _month(now, number), _month(now, number + 1)
            name = f"{table}_y{start:%Y}m{start:%m}"
            if _make(table, name, str(first_at(start)), str(first_at(end))):
                made.append(name)
    return made


def _make(table: str, name: str, low: str, high: str) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('deeploy partitions'))")
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            return False
        strays = f"SELECT 1 FROM {table}_default WHERE id >= %s AND id < %s LIMIT 1"  # noqa: S608
        cursor.execute(strays, [low, high])
        if cursor.fetchone():
            return False
        cursor.execute(
            f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ('{low}') TO ('{high}')"
        )
    return True


def _month(moment: datetime, later: int) -> datetime:
    """The first instant of the month `later` months after that of `moment`."""
    months = moment.astimezone(UTC).year * 12 + moment.astimezone(UTC).month - 1 + later
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)

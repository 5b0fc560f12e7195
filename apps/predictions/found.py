"""What a filter of the log asks for, read by id from either end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.core.ids import first_at

_MOST_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of the log. `among`: rows of a layer above, the `prediction_id`s of which hold the ids
    of all `rows`; the log is then read at these ids alone, not walked from one match to the next.
    """

    rows: QuerySet[Any]
    among: QuerySet[Any] | None = None

    def within(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        before: UUID | None = None,
        after: UUID | None = None,
    ) -> "Found":
        """Those from `start` until `end`, and between two ids. Times become bounds on the id, so
        that only the partitions between them are read."""
        found = self._filter(
            gte=None if start is None else first_at(start),
            lt=None if end is None else first_at(end),
            gt=after,
        )
        return found._filter(lt=before)

    def first(self, count: int, *, skip: int = 0, newest_first: bool = True) -> list[Any]:
        """The first rows in the order of their ids, `skip` of them passed over."""
        ordered = self.rows.order_by("-id" if newest_first else "id")
        if self.among is None:
            return list(ordered[skip : skip + count])
        found = self._ids(ordered, skip + count, newest_first)
        return list(ordered.filter(id__in=list(islice(found, skip, skip + count))))

    def _filter(self, **bounds: UUID | None) -> "Found":
        given = {name: value for name, value in bounds.items() if value is not None}
        among = self.among
        if among is not None:
            among = among.filter(**{f"prediction_id__{name}": v for name, v in given.items()})
        return Found(self.rows.filter(**{f"id__{name}": v for name, v in given.items()}), among)

    def _ids(self, ordered: QuerySet[Any], wanted: int, newest_first: bool) -> Iterator[UUID]:
        """The ids of the rows in order, in steps that grow where other filters leave few."""
        assert self.among is not None
        sign, beyond = ("-", "lt") if newest_first else ("", "gt")
        left = self.among.order_by(f"{sign}prediction_id").distinct()
        left, size = left.values_list("prediction_id", flat=True), min(wanted, _MOST_AT_ONCE)
        while candidates := list(left[:size]):
            yield from ordered.filter(id__in=candidates).values_list("id", flat=True)
            if len(candidates) < size:
                return
            left = left.filter(**{f"prediction_id__{beyond}": candidates[-1]})
            size = min(2 * size, _MOST_AT_ONCE)

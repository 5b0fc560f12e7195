"""Reads the query strings of the API: filters as `eq:`, `in:` or `like:` and a value."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from django.db.models import Q
from rest_framework.exceptions import ValidationError

_OPERATORS = ("eq", "in", "like")
_MOST_VALUES = 100
_MOST_OFFSET_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What a parameter asks for: to equal its value, to be one of several, or to contain it."""

    name: str
    operator: str
    values: tuple[str, ...]

    def on(self, column: str, kind: Literal["text", "number", "uuid"] = "text") -> Q:
        """The filter as a condition on a column. Raises ValidationError where it cannot be one."""
        if self.operator == "like":
            if kind != "text":
                raise ValidationError({self.name: "Only eq: and in: are offered for it."})
            return Q(**{f"{column}__icontains": self.values[0]})
        return Q(**{f"{column}__in": [self._typed(value, kind) for value in self.values]})

    def _typed(self, value: str, kind: str) -> Any:
        try:
            if kind == "uuid":
                return UUID(value)
            return int(value) if kind == "number" else value
        except ValueError:
            wanted = "a UUID" if kind == "uuid" else "a whole number"
            raise ValidationError({self.name: f"{value[:60]} is not {wanted}."}) from None


class Query:
    """The parameters of a request. Raises ValidationError, which names the parameter."""

    def __init__(self, parameters: Mapping[str, str], known: Collection[str]) -> None:
        self._parameters = parameters
        for name in parameters:
            if name not in known:
                text = f"There is no such filter here. Known are: {', '.join(sorted(known))}."
                raise ValidationError({name: text})

    def text(self, name: str) -> str:
        value = self._parameters.get(name, "")
        if "\x00" in value:
            raise ValidationError({name: "Text with NUL cannot be looked for."})
        return value

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("true", "1")

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        given = self.text(name)
        if not given:
            return default
        if not (given.isascii() and given.isdigit() and len(given) < 19):
            raise ValidationError({name: f"{given[:60]} is not a whole number."})
        if not least <= int(given) <= most:
            raise ValidationError({name: f"It may be {least:,} to {most:,}, not {int(given):,}."})
        return int(given)

    def moment(self, name: str) -> datetime | None:
        """A time in milliseconds since 1970."""
        if not self.text(name):
            return None
        latest = 253_402_300_799_999  # the end of the year 9999
        value = self.number(name, default=0, least=0, most=latest)
        return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)

    def identifier(self, name: str) -> UUID | None:
        try:
            return UUID(self.text(name)) if self.text(name) else None
        except ValueError:
            raise ValidationError({name: f"{self.text(name)[:60]} is not a UUID."}) from None

    def filter(self, name: str) -> Filter | None:
        """A value without an operator is one that must be equal."""
        given = self.text(name)
        if not given:
            return None
        operator, colon, value = given.partition(":")
        if not colon or operator not in _OPERATORS:
            operator, value = "eq", given
        values = tuple(value.split(",")) if operator == "in" else (value,)
        if len(values) > _MOST_VALUES:
            raise ValidationError({name: f"At most {_MOST_VALUES} values, not {len(values)}."})
        return Filter(name, operator, values)

    def filters(self, names: Iterable[str]) -> list[Filter]:
        """Those that were given, in the order of the names."""
        return [each for name in names if (each := self.filter(name)) is not None]

    def newest_first(self, fields: Collection[str]) -> bool:
        """`sort=field:asc` or `field:desc`; descending where nothing is said."""
        given = self.text("sort")
        if not given:
            return True
        field, _, direction = given.partition(":")
        if field not in fields or direction.lower() not in ("asc", "desc"):
            ways = ", ".join(f"{each}:asc, {each}:desc" for each in sorted(fields))
            raise ValidationError({"sort": f"{given[:60]} is not offered; use {ways}."})
        return direction.lower() == "desc"

    def skipped_rows(self, limit: int) -> int:
        """`offset` counts pages of `limit`; far pages are reached with `before` or `after`."""
        pages = self.number("offset", default=0, least=0, most=10**9)
        if pages * limit > _MOST_OFFSET_ROWS:
            text = (
                f"It would skip {pages * limit:,} rows, and at most {_MOST_OFFSET_ROWS:,} are "
                "skipped; go on with before=<id of the last row>."
            )
            raise ValidationError({"offset": text})
        return pages * limit

"""What a data set holds: its filters, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.core.errors import Invalid

SOURCES = {"actual": "Actual", "adjudication": "Adjudication", "evaluation": "Evaluation"}
FORMATS = ("parquet", "csv")
_MOST = 100
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class DataSetSettings:
    """Predictions made from `start` until `end`, with a label from one of `sources`, by one of
    `revisions` (their numbers), labelled as one of `classes`; empty is without a limit."""

    format: str = "parquet"
    start: datetime | None = None
    end: datetime | None = None
    sources: tuple[str, ...] = tuple(SOURCES)
    revisions: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def wire(self) -> dict[str, Any]:
        return {
            "from": self.start.isoformat() if self.start else None,
            "to": self.end.isoformat() if self.end else None,
            "sources": list(self.sources),
            "revisions": list(self.revisions),
            "classes": list(self.classes),
        }


def checked(settings: DataSetSettings) -> DataSetSettings:
    """The settings as they are. Raises Invalid, which names the field."""
    if settings.format not in FORMATS:
        raise refused("format", f"Choose one of {', '.join(FORMATS)}.")
    if settings.start and settings.end and settings.start >= settings.end:
        raise refused("to", "The period ends before it begins; give a later end.")
    if not settings.sources or not set(settings.sources) <= set(SOURCES):
        raise refused("sources", f"Choose at least one of {', '.join(SOURCES)}.")
    for name, values in (("revisions", settings.revisions), ("classes", settings.classes)):
        if len(values) > _MOST:
            raise refused(name, f"Give at most {_MOST} of them.")
    if any(len(each) > _LONGEST for each in settings.classes):
        raise refused("classes", f"The name of a class has at most {_LONGEST} characters.")
    return settings


def from_wire(format: str, filters: Mapping[str, Any]) -> DataSetSettings:
    """What `wire` wrote."""
    return DataSetSettings(
        format=format,
        start=_time(filters.get("from")),
        end=_time(filters.get("to")),
        sources=tuple(filters.get("sources") or SOURCES),
        revisions=tuple(filters.get("revisions") or ()),
        classes=tuple(filters.get("classes") or ()),
    )


def refused(field: str, text: str) -> Invalid:
    return Invalid(text, [{"field": field, "message": text}])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None

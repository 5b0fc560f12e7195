"""The columns of a data set: what is known of a prediction, then the features that models saw.

Pure functions. A feature is a number where every revision's metadata says so, else text; one whose
name is taken gets `feature.` before it. Where no metadata names features, `input` holds the JSON.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")
_NUMBERS = {"number", "integer"}
_RAW = "input"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled prediction as the database gives it; `input` is what the model got."""

    id: UUID
    at: datetime
    request_id: UUID
    revision_id: UUID | None
    custom_id: str | None
    outcome: str | None
    score: str | None
    input: str | None
    label: str
    label_source: str
    labelled_at: datetime
    label_id: UUID
    probability: float | None


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature under its `name` in the input, and under `column` in the file."""

    name: str
    column: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """How rows become columns. `order` has each revision's features in its model's order."""

    is_number: bool
    features: tuple[Feature, ...]
    order: dict[UUID, tuple[str, ...]]
    revisions: dict[UUID, int]

    @property
    def schema(self) -> pa.Schema:
        outcome = pa.float64() if self.is_number else pa.string()
        known = [
            ("prediction_id", pa.string()),
            ("request_id", pa.string()),
            ("custom_id", pa.string()),
            ("predicted_at", _TIME),
            ("revision", pa.int32()),
            ("prediction", outcome),
            ("score", pa.float64()),
            ("label", outcome),
            ("label_source", pa.string()),
            ("labelled_at", _TIME),
            ("label_id", pa.string()),
            ("probability", pa.float64()),
            ("weight", pa.float64()),
        ]
        own = [(f.column, pa.float64() if f.is_number else pa.string()) for f in self.features]
        return pa.schema([*known, *(own or [(_RAW, pa.string())])])

    def batch(self, rows: Sequence[Labelled]) -> pa.RecordBatch:
        """Some rows in the columns of `schema`."""
        schema = self.schema
        columns = list(zip(*(self._known(row) for row in rows), strict=True))
        if self.features:
            columns += list(zip(*(self._values(row) for row in rows), strict=True))
        else:
            columns.append(tuple(row.input for row in rows))
        arrays = [pa.array(values, each.type) for values, each in zip(columns, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _known(self, row: Labelled) -> tuple[Any, ...]:
        outcome, label = row.outcome, row.label
        return (
            str(row.id),
            str(row.request_id),
            row.custom_id,
            row.at,
            self.revisions.get(row.revision_id) if row.revision_id else None,
            _number(outcome) if self.is_number else outcome,
            _number(row.score),
            _number(label) if self.is_number else label,
            row.label_source,
            row.labelled_at,
            str(row.label_id),
            row.probability,
            1 / row.probability if row.probability else 1.0,
        )

    def _values(self, row: Labelled) -> list[Any]:
        given = orjson.loads(row.input) if row.input else None
        if isinstance(given, list):
            names = self.order.get(row.revision_id, ()) if row.revision_id else ()
            given = dict(zip(names, given, strict=False))
        found = given if isinstance(given, dict) else {}
        return [
            _number(found.get(f.name)) if f.is_number else _text(found.get(f.name))
            for f in self.features
        ]


def columns_of(revisions: Iterable[tuple[UUID, int, dict[str, Any]]]) -> Columns:
    """The columns for predictions of some revisions: id, number and metadata of each, the newest
    first, whose features come first."""
    known = list(revisions)
    kinds: dict[str, bool] = {}
    for _, _, metadata in known:
        for feature in metadata.get("features") or []:
            name, is_number = str(feature["name"]), feature.get("type") in _NUMBERS
            kinds[name] = kinds.get(name, True) and is_number
    plain = Columns(False, (), {}, {})
    taken = set(plain.schema.names) - {_RAW}
    return Columns(
        is_number=bool(known) and all(m.get("problemType") == "regression" for _, _, m in known),
        features=tuple(
            Feature(name, f"feature.{name}" if name in taken else name, is_number)
            for name, is_number in kinds.items()
        ),
        order={
            identifier: tuple(str(each["name"]) for each in metadata.get("features") or [])
            for identifier, _, metadata in known
        },
        revisions={identifier: number for identifier, number, _ in known},
    )


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()

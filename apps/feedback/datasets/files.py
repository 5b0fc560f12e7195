"""Writes a data set to its file, a batch at a time, and tells its checksum.

CSV and Parquet are written from the same batches. Values are exactly those of the record: in CSV
a missing one is empty and an empty text `""`.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is complete."""

    rows: int
    size_bytes: int
    sha256: str


def write(
    path: Path,
    format: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    tell: Callable[[int], None],
) -> Written:
    """Writes all batches; the file stands at `path` when it is whole. `tell` hears the number of
    rows after each batch; what it raises ends the writing, and nothing is left."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f"{path.suffix}.part")
    rows = 0
    try:
        with part.open("wb") as file, _writer(format, file, schema) as writer:
            os.chmod(part, 0o600)
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
                tell(rows)
        found = Written(rows, part.stat().st_size, _digest(part))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return found


def chunks_of(path: Path) -> Iterator[bytes]:
    """The file in pieces of one megabyte."""
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _writer(format: str, file: Any, schema: pa.Schema) -> Any:
    if format == "csv":
        return pyarrow.csv.CSVWriter(file, schema)
    return pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Reads a sample into a table, and says where and why it is none."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

_SEPARATORS = ",;\t|"


class UnreadableSample(Exception):
    """The sample is no table; the message says where and why."""


def read_sample(path: Path, filename: str) -> pd.DataFrame:
    """The table in a CSV or Parquet file, in numbers, booleans and text.

    Raises UnreadableSample with the line or the column at fault.
    """
    if filename.lower().endswith((".parquet", ".pq")):
        frame = _read_parquet(path, filename)
    else:
        frame = _read_csv(path, filename)
    if frame.empty:
        raise UnreadableSample(f"{filename} has no rows below its header.")
    frame.columns = pd.Index([str(name) for name in frame.columns])
    _check_names(list(frame.columns), filename)
    return pd.DataFrame({name: _plain(frame[name], filename) for name in frame.columns})


def _read_parquet(path: Path, filename: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(path).reset_index(drop=True)
    except (OSError, ValueError) as error:
        reason = str(error).replace(f"'{path}'", "the file")
        raise UnreadableSample(f"{filename} is no readable Parquet file: {reason}") from None


def _read_csv(path: Path, filename: str) -> pd.DataFrame:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableSample(
            f"{filename} is not UTF-8 text: line {line} holds other bytes. Save it in UTF-8."
        ) from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise UnreadableSample(f"{filename} is a binary file, not CSV: line {line} holds a NUL.")
    counts = Counter(text.partition("\n")[0])
    separator = max(_SEPARATORS, key=lambda each: counts[each])
    _check_rows(text, separator, filename)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, skip_blank_lines=True)
        if separator != "," and any(_has_decimal_commas(frame[name]) for name in frame.columns):
            return pd.read_csv(io.StringIO(text), sep=separator, decimal=",")
        return frame
    except (ValueError, pd.errors.ParserError) as error:
        raise UnreadableSample(f"{filename} cannot be read as CSV: {error}") from None


def _has_decimal_commas(column: pd.Series) -> bool:
    """True where every value is a number, and some are written as 1,5."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    values = column.dropna().astype(str).str.strip()
    are_numbers = values.str.fullmatch(r"[+-]?\d+(,\d+)?(e[+-]?\d+)?", case=False)
    return bool(len(values) and are_numbers.all() and values.str.contains(",").any())


def _check_rows(text: str, separator: str, filename: str) -> None:
    """Every row is as long as the header; pandas would shift or fill what is not."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = next(rows, [])
        _check_names([name.strip() for name in header], filename)
        for row in rows:
            if row and len(row) != len(header):
                values = "1 value" if len(row) == 1 else f"{len(row)} values"
                raise UnreadableSample(
                    f"{filename}: line {rows.line_num} has {values}, the header {len(header)}."
                )
    except csv.Error as error:
        raise UnreadableSample(f"{filename}: line {rows.line_num}: {error}") from None


def _check_names(names: list[str], filename: str) -> None:
    for position, name in enumerate(names, 1):
        if not name:
            raise UnreadableSample(f"{filename} has no name for column {position}.")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UnreadableSample(f"{filename} has the column {twice[0]} more than once.")
    if names and all(_is_number(name) for name in names):
        raise UnreadableSample(
            f"{filename} has no header: its first line holds numbers. Put the names of the "
            "columns there."
        )


def _plain(column: pd.Series, filename: str) -> pd.Series:
    """The column as numbers, booleans or text; times as ISO text."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.map(lambda moment: moment.isoformat(), na_action="ignore").astype(object)
    if pd.api.types.is_numeric_dtype(column):
        _check_range(column, filename)
        return column
    kinds = {type(value) for value in column.dropna()}
    if kinds == {bool}:
        return column.astype("boolean")
    nested = [kind.__name__ for kind in kinds if kind in (list, dict, bytes, np.ndarray)]
    if nested:
        raise UnreadableSample(
            f"{filename}: the column {column.name} holds {nested[0]} values; a feature is a "
            "number, true or false, or text."
        )
    return column.astype(object).map(str, na_action="ignore")


def _check_range(column: pd.Series, filename: str) -> None:
    values = column.dropna().to_numpy(dtype=float)
    with np.errstate(over="ignore"):
        if len(values) and not np.isfinite(values.max() - values.min()):
            raise UnreadableSample(
                f"{filename}: the column {column.name} holds an infinite number; leave such "
                "values empty."
            )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True

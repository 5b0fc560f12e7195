"""Samples become tables and profiles, or a message that names the line or the column."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.registry.metadata import checked
from apps.registry.profile import profile
from apps.registry.samples import UnreadableSample, read_sample


def table(folder: Path, content: bytes, name: str = "s.csv") -> pd.DataFrame:
    (folder / name).write_bytes(content)
    return read_sample(folder / name, name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n", "no rows"),
        (b"", "No columns"),
        (b"a,a\n1,2\n", "column a more than once"),
        (b'"a","a"\n1,2\n', "column a more than once"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 values, the header 2"),
        (b"a,b,c\n1,2\n", "line 2 has 2 values, the header 3"),
        (b"a,,c\n1,2,3\n", "no name for column 2"),
        (b"1,2\n3,4\n", "no header"),
        (b"a\n1\n\x00\n", "line 3 holds a NUL"),
        (b"a\nx\n\xe9\n", "line 3 holds other bytes"),
        (b"a,b\n1,inf\n2,3\n", "column b holds an infinite number"),
        (b"a\n1e308\n-1e308\n", "column a"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableSample, match=message):
        table(tmp_path, content)


@pytest.mark.parametrize("column", [[[1], [2]], [b"x", b"y"], [{"a": 1}, {"a": 2}]])
def test_columns_that_are_no_features_are_refused(column: list[Any], tmp_path: Path) -> None:
    pd.DataFrame({"odd": column}).to_parquet(tmp_path / "s.parquet")
    with pytest.raises(UnreadableSample, match="column odd"):
        read_sample(tmp_path / "s.parquet", "s.parquet")


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSample, match="no readable Parquet"):
        table(tmp_path, b"PAR1 and then nothing", "s.parquet")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_found(separator: str, tmp_path: Path) -> None:
    content = "a,b\n1,x\n2,y\n".replace(",", separator)
    assert list(table(tmp_path, content.encode()).columns) == ["a", "b"]


def test_decimal_commas_are_numbers_where_the_comma_separates_nothing(tmp_path: Path) -> None:
    frame = table(tmp_path, b"amount;rate;word\n1,5;2;a,b\n-2;3,25e2;c\n;1;d\n")
    assert frame["amount"].tolist()[:2] == [1.5, -2.0]
    assert frame["rate"].tolist() == [2.0, 325.0, 1.0]
    assert frame["word"].tolist() == ["a,b", "c", "d"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert list(table(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n").columns) == ["a", "b"]


def test_names_keep_spaces_and_accents(tmp_path: Path) -> None:
    frame = table(tmp_path, "net income (€),wóón plaats\n1,x\n".encode())
    names = [feature["name"] for feature in profile(frame).features]
    assert names == ["net income (€)", "wóón plaats"]


@pytest.mark.parametrize(
    ("column", "type_", "example"),
    [
        ("2024-01-31", "category", "2024-01-31"),
        ("true", "boolean", True),
        ("True", "boolean", True),
        ("", "any", None),
        ("007", "integer", 7),
        ("1e3", "integer", 1000.0),
    ],
)
def test_columns_of_csv_become_types(column: str, type_: str, example: Any, tmp_path: Path) -> None:
    found = profile(table(tmp_path, f"n,x\n1,{column}\n2,{column}\n".encode()))
    assert (found.features[1]["type"], found.example["x"]) == (type_, example)


def test_a_hundred_thousand_categories_keep_the_profile_small(tmp_path: Path) -> None:
    rows = "\n".join(f"customer {number}" for number in range(100_000))
    found = profile(table(tmp_path, f"a\n{rows}\n".encode()))
    assert len(json.dumps(found.content)) < 10_000


def test_types_are_told_apart(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2],
            "gaps": pd.array([1, None], dtype="Int64"),
            "fraction": [0.5, None],
            "flag": [True, False],
            "perhaps": pd.array([None, True], dtype="boolean"),
            "word": ["x", None],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02"]),
            "nothing": pd.array([None, None], dtype="Float64"),
        }
    )
    frame.to_parquet(tmp_path / "s.parquet")
    features = profile(read_sample(tmp_path / "s.parquet", "s.parquet")).features
    assert {feature["name"]: feature["type"] for feature in features} == {
        "whole": "integer",
        "gaps": "integer",
        "fraction": "number",
        "flag": "boolean",
        "perhaps": "boolean",
        "word": "category",
        "day": "category",
        "nothing": "any",
    }
    nullable = {feature["name"] for feature in features if feature.get("nullable")}
    assert nullable == {"gaps", "fraction", "perhaps", "word", "nothing"}


def test_values_beyond_the_fifty_most_frequent_are_counted_together(tmp_path: Path) -> None:
    rows = "\n".join(f"word {number}" for number in range(60))
    found = profile(table(tmp_path, f"a\n{rows}\n".encode()))
    content = found.content["features"][0]
    assert found.features[0]["type"] == "text"
    assert sum(content["counts"]) + content["other"] == 60


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text('abc ,;"\n', max_size=5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_whatever_a_table_holds_its_profile_is_valid_metadata(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, Any]]
) -> None:
    path = tmp_path_factory.mktemp("samples") / "s.csv"
    pd.DataFrame(rows, columns=["first", "second"]).to_csv(path, index=False)
    try:
        found = profile(read_sample(path, "s.csv"))
    except UnreadableSample:
        return
    json.dumps(found.content, allow_nan=False)
    checked({"features": found.features, "exampleInput": {"instances": [found.example]}})


def test_a_histogram_counts_every_value_once() -> None:
    values = pd.DataFrame({"x": np.random.default_rng(0).normal(size=500)})
    content = profile(values).content["features"][0]
    assert sum(content["counts"]) == 500
    assert len(content["counts"]) == 10  # Sturges: ceil(log2(500) + 1)
    expected, _ = np.histogram(values["x"], bins=10)
    assert content["counts"] == expected.tolist()

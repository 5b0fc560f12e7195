"""The heat map of interactions says which pairs act together, in shades and in words."""

import io
import re
from typing import Any

import pytest
from PIL import Image

from apps.explanations.interactions import InteractionMap, interaction_map
from apps.explanations.pictures import png
from apps.explanations.words import Words
from tests.explanations.told import METADATA


def found(sizes: tuple[float, float, float]) -> InteractionMap:
    names = [["city", "age"], ["city", "income"], ["age", "income"]]
    content: dict[str, Any] = {
        "unit": "log-odds",
        "class": "bad",
        "features": ["city", "age", "income"],
        "pairs": [
            {"features": pair, "size": size, "share": size / 2}
            for pair, size in zip(names, sizes, strict=True)
        ],
        "rows": 40,
    }
    return interaction_map(content, Words(METADATA))


def test_the_strongest_pair_is_darkest_and_named() -> None:
    chart = found((0.1, 0.0, 0.4))
    assert chart.sentence == "Age with income most: 0.400 log-odds, 20\u00a0% of what the two do."
    depths = [
        float(depth)
        for _, _, picture in chart.lines
        for depth in re.findall(r'class="accent"[^>]*fill-opacity="([\d.]+)"', picture)
    ]
    assert depths == [pytest.approx(0.05 + 0.95 * 0.25, abs=1e-3), 0.05, 1.0]


def test_each_row_speaks_its_pairs() -> None:
    [first, second, third] = found((0.1, 0.0, 0.4)).lines
    assert "aria-hidden" in first[2]
    assert 'aria-label="Age: with Town 0.100"' in second[2]
    assert 'aria-label="income: with Town 0; with Age 0.400"' in third[2]


def test_a_model_that_adds_up_is_called_so() -> None:
    chart = found((0.0, 0.0, 0.0))
    assert chart.sentence.startswith("No pair of these features acts together")
    assert Image.open(io.BytesIO(png(chart, "x"))).width > 600


def test_the_table_lists_pairs_by_their_size() -> None:
    heads, rows = found((0.1, 0.0, 0.4)).table()
    assert heads[1] == "Together, log-odds"
    assert [row[0] for row in rows] == ["Age with income", "Town with Age", "Town with income"]

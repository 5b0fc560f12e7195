"""Heat maps: whose places they are, what they say in words, and how they leave as files."""

import csv
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from apps.core.tables import csv_of
from apps.deployments.wire import as_object
from apps.explanations import drawing
from apps.explanations.pictures import THEMES, png

DIGIT = np.zeros((8, 8))
DIGIT[2, 3], DIGIT[5, 1] = 16, 8


def said(values: Any, **more: Any) -> dict[str, Any]:
    array = np.asarray(values)
    picture = {"shape": list(array.shape), "values": array.tolist()}
    content = {"method": "saliency", "class": "3", "unit": "logit", "baseValue": None}
    return content | {"picture": picture} | more


def shares() -> np.ndarray:
    values = np.zeros((8, 8))
    values[2, 3], values[4, 6] = 0.9, -0.4
    return values


@pytest.mark.parametrize("case", [DIGIT.tolist(), [DIGIT.tolist()], as_object(DIGIT[None])])
def test_the_place_that_counts_most_is_named_with_what_is_there(case: Any) -> None:
    chart = drawing.heat_map(said([shares()]), case)
    assert chart is not None
    assert (chart.high, chart.wide, chart.is_signed) == (8, 8, True)
    assert chart.top == [(3, 4, "16", "+0.90"), (5, 7, "0", "−0.40")]
    assert chart.spoken.endswith("row 3, column 4 counts most, +0.90")


@pytest.mark.parametrize("shape", [(3, 5, 6), (5, 6, 3)])
def test_channels_are_put_together_wherever_they_stand(shape: tuple[int, ...]) -> None:
    values = np.ones(shape)
    chart = drawing.heat_map(said(-values), values.tolist())
    assert chart is not None
    assert (chart.high, chart.wide) == (5, 6)
    assert chart.values[0][0] == -3
    steep = drawing.heat_map(said(values), values.tolist())
    assert steep is not None
    assert (steep.values[0][0], steep.is_signed) == (1, False)


def test_shares_without_their_input_are_shown_alone() -> None:
    chart = drawing.heat_map(said(shares()), [1, 2])
    assert chart is not None
    assert chart.bright is None
    assert chart.top[0][2] == "–"
    assert png(chart, "Why")


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [[[[1.0]]]], [["a"]], [[1.0], [2.0, 3.0]], [[float("nan")]], []]
)
def test_what_has_no_rows_and_columns_is_no_picture(values: Any) -> None:
    content = {"class": None, "picture": {"shape": [1], "values": values}}
    assert drawing.heat_map(content, None) is None


def test_every_share_is_drawn_once_as_strong_as_it_is() -> None:
    chart = drawing.heat_map(said(shares()), DIGIT.tolist())
    assert chart is not None
    markup = drawing.heat_picture(chart)
    assert re.findall(r'class="(plus|minus)" fill-opacity="([\d.]+)" d="([^"]+)"', markup) == [
        ("plus", "1.00", "M3 2h1v1h-1z"),
        ("minus", "0.42", "M6 4h1v1h-1z"),
    ]
    assert 'role="img" aria-label="Heat map of 8 by 8 places' in markup
    assert "style=" not in markup


def test_a_large_picture_stays_light_on_a_page_and_whole_in_a_file() -> None:
    values = np.random.default_rng(0).normal(size=(224, 200))
    chart = drawing.heat_map(said(values), values.tolist())
    assert chart is not None
    markup = drawing.heat_picture(chart) + drawing.input_picture(chart)
    assert 'viewBox="0 0 40 45"' in markup
    assert len(markup) < 100_000
    _, rows = chart.table()
    assert len(rows) == 224 * 200


def test_the_table_leaves_as_csv_with_every_place_the_strongest_first() -> None:
    chart = drawing.heat_map(said(shares()), DIGIT.tolist())
    assert chart is not None
    rows = list(csv.reader(io.StringIO(csv_of(*chart.table()).decode())))
    assert rows[0] == ["Row", "Column", "Input", "Attribution, logit"]
    assert rows[1:3] == [["3", "4", "16.0", "0.9"], ["5", "7", "0.0", "-0.4"]]
    assert len(rows) == 65


@pytest.mark.parametrize("theme", THEMES)
def test_the_png_has_both_pictures(theme: str) -> None:
    chart = drawing.heat_map(said(shares()), DIGIT.tolist())
    assert chart is not None
    found = Image.open(io.BytesIO(png(chart, "Why", theme))).convert("RGB")
    colours = {colour for _, colour in found.getcolors(1_000_000) or []}
    assert {(255, 255, 255), (242, 128, 60)} <= colours

"""Charts of what the real explainers say: they add up, stay in their place, and say it in words."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from apps.core.tables import csv_of
from apps.explanations import drawing
from apps.explanations.pictures import THEMES, png
from apps.explanations.words import Words
from tests.explanations.told import METADATA, told

WORDS = Words(METADATA)
CSS = Path(__file__).resolve().parents[2] / "static/css/base.css"


def test_a_waterfall_ends_at_the_prediction() -> None:
    chart = drawing.waterfall(told("shap.tree"), WORDS)
    assert chart.bars[0].start == chart.base
    assert chart.bars[-1].end == pytest.approx(chart.prediction, abs=1e-9)
    assert [bar.start for bar in chart.bars[1:]] == [bar.end for bar in chart.bars[:-1]]


def test_the_largest_contribution_stands_first() -> None:
    sizes = [abs(bar.part) for bar in drawing.waterfall(told("shap.tree"), WORDS).bars]
    assert sizes == sorted(sizes, reverse=True)


def test_what_a_local_fit_leaves_has_a_row_of_its_own() -> None:
    chart = drawing.waterfall(told("lime"), WORDS)
    assert chart.bars[-1].label == "Not explained"
    assert chart.bars[-1].end == pytest.approx(chart.prediction)


def test_small_contributions_become_one_row() -> None:
    chart = drawing.waterfall(told("shap.tree"), WORDS, most=1)
    assert [bar.label for bar in chart.bars][1:] == ["2 others"]
    assert chart.bars[-1].end == pytest.approx(chart.prediction)
    assert len(chart.every) == 3


def test_the_table_holds_every_contribution_and_adds_up() -> None:
    heads, rows = drawing.waterfall(told("shap.tree"), WORDS, most=1).table()
    assert heads[-1] == "Contribution, log-odds"
    assert sum(row[2] for row in rows[:-1]) == pytest.approx(rows[-1][2])


def test_every_bar_stays_within_its_strip() -> None:
    chart = drawing.waterfall(told("shap.tree"), WORDS)
    for bar in chart.bars:
        [(x, width)] = re.findall(
            r' x="([\d.-]+)".* width="([\d.]+)"', drawing.waterfall_row(chart, bar)
        )
        assert 0 <= float(x) <= float(x) + float(width) <= drawing.WIDE + 1.5


def test_the_force_bar_meets_at_the_prediction_and_speaks() -> None:
    chart = drawing.waterfall(told("shap.tree"), WORDS)
    spoken = drawing.force_words(chart)
    assert spoken in drawing.force(chart)
    assert spoken.endswith(f"to {chart.prediction_shown} log-odds")
    assert drawing.force(chart).count("<rect") == sum(1 for bar in chart.every if bar.part)


def test_a_label_cannot_become_markup() -> None:
    features = [{**feature, "label": "<b>x</b>"} for feature in METADATA["features"]]
    chart = drawing.waterfall(told("shap.tree"), Words({**METADATA, "features": features}))
    assert "<b>" not in drawing.waterfall_row(chart, chart.bars[0]) + drawing.force(chart)


def test_numbers_are_lines_and_categories_rows() -> None:
    by_name = {curve.name: curve for curve in drawing.curves(told("partial_dependence"), WORDS)}
    assert by_name["age"].is_line
    assert not by_name["city"].is_line
    rows = drawing.category_bars(by_name["city"])
    assert [label for label, _, _ in rows] == ["Ede", "Goes", "Urk on the lake"]


def test_a_curve_marks_where_the_case_stands() -> None:
    [age, *_] = drawing.curves(told("partial_dependence"), WORDS, {"age": 41})
    assert 'class="end"' in drawing.curve_picture(age)
    assert 'class="end"' not in drawing.curve_picture(
        drawing.curves(told("partial_dependence"), WORDS)[0]
    )


def test_a_swarm_has_a_dot_for_each_prediction() -> None:
    chart = drawing.swarm([told("shap.tree")] * 5, WORDS)
    assert {len(dots) for _, dots in chart.rows} == {5}
    assert drawing.swarm_row(chart, chart.rows[0][1]).count("dot") == 5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_have_the_colours_of_the_pages(theme: str) -> None:
    tokens = dict(re.findall(r"--([\w-]+): light-dark\((#\w+), #\w+\)", CSS.read_text()))
    dark = dict(re.findall(r"--([\w-]+): light-dark\(#\w+, (#\w+)\)", CSS.read_text()))
    wanted = tokens if theme == "light" else dark
    assert THEMES[theme] == {name: wanted[name] for name in THEMES[theme]}


def test_a_png_is_a_picture_in_its_theme() -> None:
    charts = [
        drawing.waterfall(told("shap.tree"), WORDS),
        drawing.swarm([told("shap.tree")], WORDS),
        *drawing.curves(told("partial_dependence"), WORDS),
    ]
    for chart in charts:
        picture = Image.open(io.BytesIO(png(chart, "Why", "dark"))).convert("RGB")
        assert picture.getpixel((1, 1)) == (0x1B, 0x1E, 0x24)
        assert len(picture.getcolors(1_000_000) or ()) > 20


def test_the_same_chart_gives_the_same_png() -> None:
    chart = drawing.waterfall(told("shap.tree"), WORDS)
    assert png(chart, "Why") == png(chart, "Why")


def test_a_formula_in_a_cell_stays_text() -> None:
    assert csv_of(["Feature"], [["=1+1"], [-2.5]]) == b"Feature\r\n'=1+1\r\n-2.5\r\n"

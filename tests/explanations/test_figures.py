"""Figures of plotly hold the numbers of the charts, in both themes, on a page of their own."""

import json
import re
from typing import Any

import numpy as np
import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from apps.core.palette import THEMES
from apps.core.plots import figure_page
from apps.explanations import drawing
from apps.explanations.drawing import Lines
from apps.explanations.figures import figure
from apps.explanations.words import Words
from tests.explanations.told import METADATA, told

WORDS = Words(METADATA)
LIGHT = THEMES["light"]
IMPORTANCE = {
    "features": [
        {"feature": name, "importance": size, "low": size - 0.1, "high": size + 0.2}
        for name, size in (("age", 0.4), ("income", 1.5))
    ],
    "ranking": ["income", "age"],
}


def content_of(response: HttpResponse) -> dict[str, Any]:
    block = re.search(r'<script id="figures"[^>]*>(.*?)</script>', response.content.decode(), re.S)
    assert block is not None
    found: dict[str, Any] = json.loads(block[1])
    return found


def test_a_waterfall_has_every_bar_from_start_to_prediction() -> None:
    chart = drawing.waterfall(told("shap.tree"), WORDS, most=1)
    [bars] = figure(chart, LIGHT).data
    assert len(bars.x) == len(chart.every) == 3
    assert bars.base[0] == chart.base
    assert bars.base[-1] + bars.x[-1] == pytest.approx(chart.prediction)
    assert list(bars.marker.color) == [LIGHT[bar.kind] for bar in chart.every]


def test_a_ranking_has_its_intervals() -> None:
    [bars] = figure(drawing.ranking("Importance", "log-odds", IMPORTANCE, WORDS), LIGHT).data
    assert list(bars.x) == [1.5, 0.4]
    assert list(bars.error_x.array) == pytest.approx([0.2, 0.2])
    assert list(bars.error_x.arrayminus) == pytest.approx([0.1, 0.1])


def test_two_rankings_share_rows_where_one_of_them_lacks_a_feature() -> None:
    mine = drawing.ranking("Importance", "log-odds", IMPORTANCE, WORDS)
    less = {"features": IMPORTANCE["features"][:1], "ranking": ["age"]}
    other = drawing.ranking("Importance", "log-odds", less, WORDS)
    both = drawing.paired(mine, other, ("revision 1", "revision 2"))
    first, second = figure(both, LIGHT).data
    assert (first.name, list(first.y), list(second.y)) == ("revision 1", [0, 1], [1])


def test_a_swarm_has_a_dot_for_each_contribution() -> None:
    chart = drawing.swarm([told("shap.tree")] * 4, WORDS)
    [dots] = figure(chart, LIGHT).data
    assert len(dots.x) == 4 * len(chart.rows)
    assert {round(y) for y in dots.y} == set(range(len(chart.rows)))


def test_curves_are_lines_over_numbers_and_bars_over_categories() -> None:
    for chart in drawing.curves(told("partial_dependence"), WORDS, {"age": 41}):
        drawn = figure(chart, LIGHT)
        last = drawn.data[-1]
        values = last.y if chart.is_line else last.x
        assert list(values) == pytest.approx(list(chart.average))
        marked = [shape for shape in drawn.layout.shapes if shape.x0 == 41]
        assert bool(marked) == (chart.name == "age")


def test_a_heat_map_runs_from_minus_to_plus() -> None:
    values = np.array([[0.9, 0.0], [-0.4, 0.1]])
    content = {"method": "saliency", "class": "3", "unit": "logit", "baseValue": None}
    content |= {"picture": {"shape": [2, 2], "values": values.tolist()}}
    chart = drawing.heat_map(content, [[1, 2], [3, 4]])
    [cells] = figure(chart, LIGHT).data
    assert np.array_equal(np.array(cells.z), values)
    assert (cells.zmin, cells.zmax) == (-0.9, 0.9)
    assert "row 2, column 1<br>input 3" in cells.text[1][0]


def test_what_is_no_chart_has_no_figure() -> None:
    with pytest.raises(TypeError, match="Lines has no figure"):
        figure(Lines((("a", "b"),)), LIGHT)


@pytest.mark.parametrize("label", ["<b>x</b>", "</script><script>alert(1)</script>", "a & b"])
def test_a_label_cannot_become_markup(rf: RequestFactory, label: str) -> None:
    features = [{**feature, "label": label} for feature in METADATA["features"]]
    chart = drawing.waterfall(told("shap.tree"), Words({**METADATA, "features": features}))
    request = rf.get("/")
    request.csp_nonce = "n"  # type: ignore[attr-defined]
    found = content_of(figure_page(request, lambda theme: figure(chart, theme), "Why"))
    for theme in THEMES:
        [bars] = found[theme]["data"]
        shown = bars["customdata"][0][0]
        assert "<" not in shown
        assert shown.startswith(label.replace("&", "&amp;").replace("<", "&lt;")[:3])

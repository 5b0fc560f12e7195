"""Charts as geometry and SVG: pure, no markup of pages, no clock, no database.

Every picture is a strip that stretches to its place while lines and dots keep their width; labels
and numbers stand beside it as text, so that they stay readable on a telephone and for a screen
reader. Colours come from classes. Positions run from 0 to `WIDE` and, downwards, to `HIGH`.
"""

from apps.explanations.drawing.contributions import (
    Waterfall,
    end_row,
    force,
    force_words,
    waterfall,
    waterfall_row,
)
from apps.explanations.drawing.dots import Swarm, swarm, swarm_row
from apps.explanations.drawing.heat import HeatMap, heat_map, heat_picture, input_picture
from apps.explanations.drawing.importance import Ranking, bar_strip, ranking, ranking_row
from apps.explanations.drawing.lines import (
    Curve,
    category_bars,
    category_row,
    curve_picture,
    curves,
)
from apps.explanations.drawing.marks import HIGH, WIDE, Bar, Lines, Scale, strip
from apps.explanations.drawing.paired import PairedRanking, paired

__all__ = [
    "HIGH",
    "WIDE",
    "Bar",
    "Curve",
    "HeatMap",
    "Lines",
    "PairedRanking",
    "Ranking",
    "Scale",
    "Swarm",
    "Waterfall",
    "bar_strip",
    "category_bars",
    "category_row",
    "curve_picture",
    "curves",
    "end_row",
    "force",
    "force_words",
    "heat_map",
    "heat_picture",
    "input_picture",
    "paired",
    "ranking",
    "ranking_row",
    "strip",
    "swarm",
    "swarm_row",
    "waterfall",
    "waterfall_row",
]

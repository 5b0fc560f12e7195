"""Figures of plotly to zoom and to point at, in the colours of the pages, in a frame of their own.

plotly's script sets styles in elements, which the policy of our pages forbids. A figure therefore
stands on a page that allows this and little else: no forms, no connections, no scripts but ours.
Texts in figures are read as HTML by plotly: pass them through `plain`.
"""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from csp.constants import NONE, SELF, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.core.palette import THEMES, Theme

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, layout

_POLICY = {
    "style-src": [SELF, UNSAFE_INLINE],
    "frame-ancestors": [SELF],
    **dict.fromkeys(("connect-src", "font-src", "form-action", "frame-src"), [NONE]),
}
_HIGH, _ROW_HIGH, _AXES_HIGH = 420, 26, 110


def figure_page(
    request: HttpRequest, draw: Callable[[Theme], "Figure"], title: str
) -> HttpResponse:
    """The page with a figure, drawn in each theme, for a frame of our own pages."""
    figures = {name: _themed(draw(theme), theme).to_plotly_json() for name, theme in THEMES.items()}
    content = orjson.dumps(figures, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    safe = content.replace("<", "\\u003c")  # the block of data must not end early
    response = render(request, "components/plot.html", {"figures": safe, "title": title})
    response["X-Frame-Options"] = "SAMEORIGIN"
    response._csp_replace = _POLICY  # type: ignore[attr-defined]
    return response


def plain(text: str) -> str:
    """A text as plotly shows it letter by letter."""
    return html.escape(text, quote=False)


def height_of(rows: int) -> int:
    """The least height in pixels at which a chart of rows keeps its labels apart."""
    return max(_HIGH, _AXES_HIGH + _ROW_HIGH * rows)


def intervals(
    points: Sequence[tuple[float, float | None, float | None]], colour: str
) -> dict[str, Any]:
    """Error bars of points: each its value and the ends of its interval, where it has one."""
    ups = [0.0 if high is None else high - value for value, _, high in points]
    downs = [0.0 if low is None else value - low for value, low, _ in points]
    return {
        "type": "data",
        "symmetric": False,
        "array": ups,
        "arrayminus": downs,
        "color": colour,
        "thickness": 1.2,
        "width": 0,
        "visible": any(ups) or any(downs),
    }


def colour_bar(title: str) -> dict[str, Any]:
    """The scale beside marks whose colour is a number."""
    return {"thickness": 10, "outlinewidth": 0, "title": {"text": plain(title), "side": "right"}}


def name_rows(figure: "Figure", labels: Sequence[str], *, across: str, each: int = 1) -> "Figure":
    """Names rows 0, 1, … on the left, the first on top, and what runs `across`; `each` is how many
    marks stand in a row."""
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[plain(label) for label in labels],
        range=[len(labels) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title_text=plain(across))
    return figure.update_layout(height=height_of(len(labels) * each))


def _themed(figure: "Figure", theme: Theme) -> "Figure":
    return figure.update_layout(template={"layout": template(theme)})


def template(theme: Theme) -> "layout.Template":
    """The one look of all figures."""
    from plotly.graph_objects import Layout

    axis = {
        "gridcolor": theme["rule"],
        "linecolor": theme["rule-strong"],
        "zerolinecolor": theme["rule-strong"],
        "zerolinewidth": 1,
        "automargin": True,
        "title": {"font": {"size": 12, "color": theme["ink-2"]}, "standoff": 10},
        "tickfont": {"color": theme["ink-2"]},
    }
    return Layout(
        font={"family": "ui-sans-serif, system-ui, sans-serif", "size": 12, "color": theme["ink"]},
        paper_bgcolor=theme["surface"],
        plot_bgcolor=theme["surface"],
        colorway=[theme["accent"], theme["plus"], theme["minus"]],
        xaxis=axis,
        yaxis=axis,
        bargap=0.35,
        hoverlabel={
            "bgcolor": theme["surface"],
            "bordercolor": theme["rule-strong"],
            "font": {"color": theme["ink"]},
        },
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 12, "r": 16, "t": 36, "b": 12},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": theme["ink-2"], "activecolor": theme["ink"]},
        separators=".,",
    )

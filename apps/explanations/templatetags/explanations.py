"""Charts in templates."""

from typing import Any
from urllib.parse import urlencode

from django import template

from apps.explanations import drawing
from apps.explanations.words import Alternative, plain_number

register = template.Library()

register.simple_tag(drawing.waterfall_row)
register.simple_tag(drawing.end_row)
register.simple_tag(drawing.ranking_row)
register.simple_tag(drawing.category_row)
register.simple_tag(drawing.swarm_row)
register.filter("force", drawing.force)
register.filter("curve_picture", drawing.curve_picture)
register.filter("category_bars", drawing.category_bars)
register.filter("heat_picture", drawing.heat_picture)
register.filter("input_picture", drawing.input_picture)


@register.filter
def said(chart: Any, value: float) -> str:
    """A value of a curve in its unit."""
    return str(chart.said(value))


@register.filter
def number_words(value: Any) -> str:
    """A number of a chart's table; text stays as it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return plain_number(value) if is_number else "–" if value is None else str(value)


@register.simple_tag
def filled_in(record: Any, alternative: Alternative) -> str:
    """The query with which the Try page begins at a counterfactual."""
    changes = [(f"to.{name}", value) for name, value in alternative.changed]
    return f"?{urlencode([('from', str(record.id)), *changes])}"


@register.simple_tag
def asking(**wanted: Any) -> str:
    """The query that asks for what is given; empty where nothing is."""
    given = {name: value for name, value in wanted.items() if value}
    return f"?{urlencode(given)}" if given else ""


@register.inclusion_tag("explanations/_table.html")
def chart_table(chart: Any, summary: str = "As a table") -> dict[str, Any]:
    """The numbers of a chart, folded."""
    heads, rows = chart.table()
    return {"heads": heads, "rows": rows, "summary": summary}


@register.filter
def fired_first(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An expert's rules, those that fired before the others."""
    return sorted(rules, key=lambda rule: not rule["fired"])


@register.filter
def fired(rules: list[dict[str, Any]]) -> str:
    """`2 of 6 fired`."""
    return f"{sum(rule['fired'] for rule in rules) or 'none'} of {len(rules)} fired"


@register.filter
def figure_address(png: str) -> str:
    """Where the figure of a chart stands, from where its PNG does."""
    return f"{png.removesuffix('.png')}.html"

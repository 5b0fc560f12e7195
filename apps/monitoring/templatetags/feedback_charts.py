"""Charts of feedback in templates."""

from django import template

from apps.monitoring.feedback import drawing

register = template.Library()
register.filter("line", drawing.line)
register.simple_tag(drawing.bar)


@register.filter
def said(chart: drawing.Chart, value: float | None) -> str:
    """A value in the chart's unit."""
    return chart.said(value)

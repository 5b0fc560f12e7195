"""What templates draw with: icons, states, times, numbers, small pictures, form fields."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.forms import BaseForm, BoundField
from django.forms.widgets import CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from lucide import _render_icon

from apps.core.form_groups import parts_of

register = template.Library()

_STEPS = (
    (60, "second", 1),
    (3600, "minute", 60),
    (86_400, "hour", 3600),
    (30 * 86_400, "day", 86_400),
)
_SPARK_HEIGHT, _SPARK_WIDTH = 26.0, 100.0
KINDS = {"good", "warn", "bad", "none"}


@register.simple_tag
def icon(name: str, size: int = 18) -> SafeString:
    """A lucide icon that screen readers pass over."""
    drawn = _render_icon(name, size, **{"aria-hidden": "true", "focusable": "false"})
    return mark_safe(drawn)  # noqa: S308  drawn from the package's own files


@register.simple_tag
def pill(kind: str, word: object) -> SafeString:
    """A state: colour, shape and word together."""
    return format_html('<span class="pill {}">{}</span>', kind if kind in KINDS else "none", word)


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """How long ago or ahead, with the exact time in UTC for hover and machines."""
    if value is None:
        return "–"
    text = relative(value, timezone.now())
    return _time(value, text)


@register.filter
def exact(value: datetime | None) -> SafeString | str:
    """Date and time to the second, in UTC."""
    return "–" if value is None else _time(value, f"{value:%-d %b %Y, %H:%M:%S}")


def relative(value: datetime, now: datetime) -> str:
    """`3 minutes ago`, `in 2 hours`; older than 30 days the date."""
    seconds = (now - value).total_seconds()
    span = abs(seconds)
    if span < 5:
        return "just now"
    for below, word, unit in _STEPS:
        if span < below:
            count = int(span // unit)
            text = f"{count} {word}{'s' * (count != 1)}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return f"{value:%-d %b %Y}"


def _time(value: datetime, text: str) -> SafeString:
    full = f"{value.astimezone(timezone.get_default_timezone()):%-d %b %Y, %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), full, text)


@register.filter
def number(value: float | None, decimals: int = 0) -> str:
    """18,402; an en dash where there is nothing."""
    return "–" if value is None else f"{value:,.{decimals}f}"


@register.filter
def percent(value: float | None, decimals: int = 1) -> str:
    """A share as percent with a no-break space: 6.2 %."""
    return "–" if value is None else f"{100 * value:.{decimals}f}\u00a0%"


@register.filter
def filesize(value: int | None) -> str:
    return "–" if value is None else filesizeformat(value)


@register.filter
def milliseconds(value: float | None) -> str:
    """0.84 ms, 14 ms, 1.2 s."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.1f}\u00a0s"
    return f"{value:.2f}\u00a0ms" if value < 10 else f"{value:,.0f}\u00a0ms"


@register.filter
def microseconds(value: int | None) -> str:
    return "–" if value is None else milliseconds(value / 1000)


@register.filter
def duration(value: timedelta | None) -> str:
    """3 h 12 min, 41 s."""
    if value is None:
        return "–"
    seconds = int(value.total_seconds())
    if seconds < 60:
        return f"{seconds}\u00a0s"
    minutes, hours = seconds // 60 % 60, seconds // 3600 % 24
    days = seconds // 86_400
    if days:
        return f"{days}\u00a0d {hours}\u00a0h"
    return f"{hours}\u00a0h {minutes}\u00a0min" if hours else f"{minutes}\u00a0min"


@register.filter
def shorten_hash(value: str | bytes | memoryview | None) -> SafeString | str:
    """9f2c…e41a, the whole on hover."""
    if not value:
        return "–"
    text = value if isinstance(value, str) else bytes(value).hex()
    return format_html('<span class="mono" title="{}">{}…{}</span>', text, text[:6], text[-4:])


@register.filter
def plural(count: int, word: str) -> str:
    """`1 row`, `2 rows`; give `entry,entries` where an s is not enough."""
    one, _, many = word.partition(",")
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@register.simple_tag
def sparkline(
    values: Sequence[float | None], label: str = "", errors: Sequence[float] | None = None
) -> SafeString:
    """A small line with its area; `errors` draws a second line in the colour of failure."""
    known = [value or 0.0 for value in values]
    if len(known) < 2:
        return mark_safe('<svg class="spark" aria-hidden="true"></svg>')
    top = max([*known, *(errors or []), 1e-9]) * 1.1
    line = _path(known, top)
    area = f"{line} L{_SPARK_WIDTH:g} {_SPARK_HEIGHT:g} L0 {_SPARK_HEIGHT:g} Z"
    failed = format_html('<path class="failed" d="{}"/>', _path(errors, top)) if errors else ""
    return format_html(
        '<svg class="spark" viewBox="0 0 100 26" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path class="area" d="{}"/><path d="{}"/>{}</svg>',
        label or "history",
        area,
        line,
        failed,
    )


def _path(values: Sequence[float], top: float) -> str:
    step = _SPARK_WIDTH / (len(values) - 1)
    points = (
        f"{i * step:.1f} {_SPARK_HEIGHT - 2 - (_SPARK_HEIGHT - 4) * v / top:.1f}"
        for i, v in enumerate(values)
    )
    return "M" + " L".join(points)


@register.simple_tag
def histogram(counts: Sequence[float], labels: Sequence[object] = ()) -> SafeString:
    """Bars for the counts of bins or categories; each tells its label and count on hover."""
    if not counts:
        return mark_safe("")
    top, width = max([*counts, 1]), 100 / len(counts)
    names = list(labels) if len(labels) == len(counts) else [""] * len(counts)
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}"><title>{}{}</title></rect>',
        (
            (
                f"{i * width:.2f}",
                f"{24 - 24 * c / top:.2f}",
                f"{max(width - 0.8, 0.5):.2f}",
                f"{24 * c / top:.2f}",
                f"{names[i]}: " if names[i] != "" else "",
                f"{c:,}",
            )
            for i, c in enumerate(counts)
        ),
    )
    return format_html(
        '<svg class="histogram" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" '
        'aria-label="distribution over {} bins">{}</svg>',
        len(counts),
        bars,
    )


@register.inclusion_tag("components/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """A form field with label, help and errors, joined for screen readers."""
    widget = bound.field.widget
    several = isinstance(widget, CheckboxSelectMultiple | RadioSelect)
    single = isinstance(widget, CheckboxInput)
    described = [
        f"{bound.auto_id}-{part}"
        for part, there in (("help", bound.help_text), ("error", bound.errors))
        if there
    ]
    attributes: dict[str, str | bool] = (
        {"aria-describedby": " ".join(described)} if described else {}
    )
    if bound.errors:
        attributes["aria-invalid"] = "true"
    control = bound.as_widget(attrs=attributes)
    return {"field": bound, "control": control, "several": several, "single": single}


@register.inclusion_tag("components/form_fields.html")
def form_fields(form: BaseForm) -> dict[str, Any]:
    """All fields of a form, in the parts that its class names."""
    return {"parts": parts_of(form)}


@register.inclusion_tag("components/form_errors.html")
def form_errors(form: BaseForm) -> dict[str, Any]:
    """What is wrong with a form, with links to the fields."""
    wrong = [form[name] for name in form.errors if name in form.fields]
    return {"form": form, "wrong": wrong, "general": form.non_field_errors()}


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: object) -> str:
    """The current query string with some parameters set, or taken out where None."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}"

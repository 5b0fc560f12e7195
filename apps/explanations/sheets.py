"""The explanations of one request as one picture: a panel for each instance and method."""

import textwrap
from datetime import UTC, datetime
from typing import Any

from apps.explanations.drawing import Lines
from apps.explanations.pictures import Panel, sheet
from apps.explanations.told import Told, case_of
from apps.explanations.words import Words

_MOST_LINES = 14
_CURVES_BESIDE = 3
_WIDE, _NARROW = 100, 50
_NOBODY = datetime(1970, 1, 1, tzinfo=UTC)


def picture_of(metadata: dict[str, Any], rows: list[dict[str, Any]], theme: str) -> bytes:
    """A PNG of `rows`, each with the `instance` that was explained and its `explanations`."""
    words = Words(metadata)
    panels = [
        panel
        for number, row in enumerate(rows, start=1)
        for content in row["explanations"]
        for panel in _panels(content, row["instance"], words, number if len(rows) > 1 else 0)
    ]
    return sheet(panels, theme)


def _panels(content: dict[str, Any], given: Any, words: Words, number: int) -> list[Panel]:
    """The panels of one answer: one, but for more curves than stand side by side."""
    told = Told("", content, words, case_of(given, words), _NOBODY, given=given)
    charts = _charts(told)
    title = f"{_title(told)} · {told.method}" + (f" · instance {number}" if number else "")
    starts = range(0, len(charts), _CURVES_BESIDE)
    return [(title, charts[at : at + _CURVES_BESIDE]) for at in starts]


def _title(told: Told) -> str:
    titles = {
        "contributions": "What led to",
        "picture": "Where the model looks for",
        "rule": "What holds",
        "counterfactuals": "What would lead away from",
        "curves": "If one feature were otherwise:",
        "reasons": "Principal reasons for",
    }
    part = next((part for part in titles if told.has(part)), "")
    label = told.content.get("class")
    return f"{titles.get(part, 'Why')} {'the value' if label is None else label}" if part else "Why"


def _charts(told: Told) -> list[Any]:
    if told.has("contributions"):
        return [told.waterfall]
    if told.has("picture") and (heat := told.heat):
        return [heat]
    if told.has("curves") and (curves := told.curves):
        return list(curves)
    return [Lines(_cut(_lines(told)))]


def _lines(told: Told) -> list[tuple[str, str]]:
    if told.has("rule"):
        return [(line, "") for line in textwrap.wrap(told.rule, _WIDE)]
    if told.has("counterfactuals"):
        return _changes(told) or [(str(told.content.get("note") or "No change leads away."), "")]
    if told.has("reasons"):
        shares = [(each["text"], _share(each.get("share"))) for each in told.reasons]
        return shares + _rules(told) or [("No reason speaks for it beyond the floor.", "")]
    if told.has("rules"):
        return _rules(told) or [("There is no rule.", "")]
    return told.said if told.has("said") else [("The numbers are in the record.", "")]


def _changes(told: Told) -> list[tuple[str, str]]:
    return [
        (f"{change.label}: {change.before} → {change.after}", alternative.then if last else "and")
        for alternative in told.alternatives
        for at, change in enumerate(alternative.changes, start=1)
        for last in [at == len(alternative.changes)]
    ]


def _rules(told: Told) -> list[tuple[str, str]]:
    return [
        (each.get("text") or each["rule"], "fired" if each["fired"] else "not fired")
        for each in told.rules
    ]


def _share(share: Any) -> str:
    return f"{100 * share:.0f}\u00a0%" if isinstance(share, int | float) else ""


def _cut(lines: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What fits, shortened where two columns stand side by side, with how much more there is."""
    kept = [
        (textwrap.shorten(left, _NARROW, placeholder="…"), textwrap.shorten(right, _NARROW))
        if right
        else (left, right)
        for left, right in lines[:_MOST_LINES]
    ]
    if more := len(lines) - len(kept):
        kept.append((f"and {more:,} more", ""))
    return tuple(kept)

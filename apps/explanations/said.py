"""What somebody's own explainer answers in a shape that no chart knows, as lines of a table."""

from collections.abc import Iterator
from typing import Any

from apps.explanations.words import Words, plain_number

_MOST_LINES = 200


def lines_of(said: Any, words: Words) -> list[tuple[str, str]]:
    """The place of each value and the value, in order; lists as long as the features by these."""
    labels = [words.label(each["name"]) for each in words.metadata.get("features") or []]
    found: list[tuple[str, str]] = []
    for line in _walked("", said, labels):
        if len(found) == _MOST_LINES:
            return [*found, ("and more", "the record and the API have the rest")]
        found.append(line)
    return found


def _walked(place: str, value: Any, labels: list[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _walked(_below(place, str(key)), inner, labels)
    elif isinstance(value, list) and value:
        names = labels if len(labels) == len(value) else [str(n + 1) for n in range(len(value))]
        for name, inner in zip(names, value, strict=True):
            yield from _walked(_below(place, name), inner, labels)
    else:
        yield place or "value", _shown(value)


def _below(place: str, name: str) -> str:
    return f"{place} · {name}" if place else name


def _shown(value: Any) -> str:
    if value is None or value in ([], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain_number(value) if isinstance(value, int | float) else str(value)

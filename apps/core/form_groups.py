"""Long forms in parts: which fields belong together, and which parts may stay folded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.forms import BaseForm
from django.forms.boundfield import BoundField


@dataclass(frozen=True, slots=True)
class Group:
    """Fields under one heading; `names` end with * for all that begin so.

    A folded group opens by itself where something in it is filled in or wrong.
    """

    title: str
    names: tuple[str, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A group of a form that is shown."""

    title: str
    fields: list[BoundField]
    folded: bool


def parts_of(form: BaseForm) -> list[Part]:
    """The form's fields by its class's `groups`; what no group names comes first, untitled."""
    groups: tuple[Group, ...] = getattr(form, "groups", ())
    taken: set[str] = set()
    parts = []
    for group in groups:
        fields = [form[name] for name in _names(form, group) if name not in taken]
        taken.update(field.name for field in fields)
        if fields:
            parts.append(Part(group.title, fields, group.folded and not _is_used(form, fields)))
    rest = [field for field in form if field.name not in taken]
    return [Part("", rest, False), *parts] if rest else parts


def _names(form: BaseForm, group: Group) -> Iterator[str]:
    for wanted in group.names:
        if wanted.endswith("*"):
            yield from (name for name in form.fields if name.startswith(wanted[:-1]))
        elif wanted in form.fields:
            yield wanted


def _is_used(form: BaseForm, fields: list[BoundField]) -> bool:
    return any(field.errors or _differs(field) for field in fields)


def _differs(bound: BoundField) -> bool:
    """True where a field holds something else than an empty form would."""
    value, usual = bound.value(), bound.field.initial
    return _plain(value) != _plain(usual() if callable(usual) else usual)


def _plain(value: Any) -> str:
    return "" if value is None or value == [] else str(value)

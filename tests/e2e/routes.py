"""Every named page of the product with addresses that lead somewhere, found by asking.

The names come from the URL resolver, so a page that is added is walked without a change here;
what stands in the address is tried from the objects that exist.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any

from django.apps import apps
from django.db.models import Model, SlugField, UUIDField
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, UUIDConverter

from tests.e2e.bank import CUSTOM_ID

_MOST_TRIES = 600
_OWN = "apps."
# What a page wants to be asked for, beyond its address.
_QUERIES = {"predictions:erase_case": f"?custom_id={CUSTOM_ID}"}


@dataclass
class Pages:
    """Addresses of pages by route name; `unreached` names routes that nothing led to."""

    found: dict[str, str] = field(default_factory=dict)
    unreached: list[str] = field(default_factory=list)


def pages(client: Client) -> Pages:
    """What answers `client` with a whole HTML page, one address for each named route."""
    walked, values = Pages(), _values()
    for name, pattern, prefix in _named(get_resolver()):
        answers = []
        for path in _addresses(prefix, pattern, values):
            path += _QUERIES.get(name, "")
            answer = client.get(path)
            answers.append(answer.status_code)
            if answer.status_code == 404:
                continue
            if _is_page(answer):
                walked.found[name] = path
            answer.close()
            break
        if answers and set(answers) == {404}:
            walked.unreached.append(name)
    return walked


def _is_page(answer: Any) -> bool:
    return bool(answer.status_code == 200 and not answer.streaming and b"<html" in answer.content)


def _named(
    resolver: URLResolver, namespace: str = "", prefix: tuple[Any, ...] = ()
) -> Iterator[tuple[str, URLPattern, tuple[Any, ...]]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from _named(each, inner, (*prefix, each.pattern))
        elif each.name:
            yield f"{namespace}{each.name}", each, prefix


def _addresses(
    prefix: tuple[Any, ...], pattern: URLPattern, values: dict[str, list[Any]]
) -> Iterator[str]:
    """The route with every combination of fitting values, the likely ones first."""
    route = "/" + "".join(str(each) for each in (*prefix, pattern.pattern))
    if "(" in route or "^" in route:
        return  # a regular expression, of a package of others
    converters = {k: v for each in (*prefix, pattern.pattern) for k, v in each.converters.items()}
    choices = [_choices(name, converter, values) for name, converter in converters.items()]
    for chosen in islice(product(*choices), _MOST_TRIES):
        path = route
        for (name, converter), value in zip(converters.items(), chosen, strict=True):
            kind = {IntConverter: "int", UUIDConverter: "uuid"}.get(type(converter))
            marks = [f"<{kind or 'slug'}:{name}>", f"<str:{name}>", f"<path:{name}>", f"<{name}>"]
            for mark in marks:
                path = path.replace(mark, str(value))
        yield path


def _choices(name: str, converter: Any, values: dict[str, list[Any]]) -> list[Any]:
    if name in values:
        return values[name]
    if isinstance(converter, IntConverter):
        return [1, 2]
    if isinstance(converter, UUIDConverter):
        return values["*uuid"]
    return [*values["*text"], *values["*uuid"]]


def _values() -> dict[str, list[Any]]:
    """All identifiers and slugs there are, and what names of arguments say of themselves."""
    identifiers: list[Any] = []
    slugs: dict[str, list[Any]] = {}
    for model in apps.get_models():
        if not model.__module__.startswith(_OWN):
            continue
        if isinstance(model._meta.pk, UUIDField):
            identifiers += model._default_manager.values_list("pk", flat=True)[:3]
        if found := _slugs(model):
            slugs[model._meta.model_name or ""] = found
    known = {f"{name}_slug": found for name, found in slugs.items()}
    texts = [slug for found in slugs.values() for slug in found]
    return known | {
        "slug": slugs.get("deployment", []),
        "form": ["csv"],
        "queue_id": _ids("feedback", "ReviewQueue"),
        "claim_id": _ids("feedback", "Claim"),
        "object_type": ["deployment", "model", "workspace"],
        "*uuid": identifiers,
        "*text": texts,
    }


def _ids(app: str, name: str) -> list[Any]:
    return list(apps.get_model(app, name)._default_manager.values_list("pk", flat=True)[:3])


def _slugs(model: type[Model]) -> list[Any]:
    if not any(isinstance(each, SlugField) for each in model._meta.get_fields()):
        return []
    return list(model._default_manager.values_list("slug", flat=True)[:3])

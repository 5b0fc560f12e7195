"""What a JSON parser lets pass and a record must not: keys that are there twice."""

import json
from typing import Any

from apps.predictions.gateway.errors import GatewayError


def refuse_doubled_keys(body: bytes, document: Any) -> None:
    """Raises GatewayError 400 where an object has a key twice: one of the two values would be
    decided on, and nobody could tell which was meant.

    Every key has a colon. As long as there are no more colons than keys, no second parse is
    needed.
    """
    colons = body.count(b":")
    if colons <= _keys(document) or colons <= _all_keys(document):
        return
    try:
        json.loads(body, object_pairs_hook=_check)
    except RecursionError:
        text = "The body is nested too deeply; instances are flat objects or lists."
        raise GatewayError(400, text) from None


def _keys(document: Any) -> int:
    """The keys of the document and of the objects in its lists; deeper ones are not counted."""
    if type(document) is list:
        return sum(len(each) for each in document if type(each) is dict)
    if type(document) is not dict:
        return 0
    lists = [value for value in document.values() if type(value) is list]
    return len(document) + sum(len(each) for v in lists for each in v if type(each) is dict)


def _all_keys(value: Any) -> int:
    """The keys of every object outside of lists of plain values."""
    if type(value) is dict:
        return len(value) + sum(_all_keys(each) for each in value.values())
    if type(value) is list and value and type(value[0]) is dict:
        return sum(_all_keys(each) for each in value)
    return 0


def _check(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise GatewayError(400, f'The key "{key[:60]}" is there twice in one object.')
        seen.add(key)

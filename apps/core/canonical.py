"""Canonical JSON and salted digests: what a record's commitment is computed from."""

import hashlib
from typing import Any

import orjson


def canonical(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no white space.

    The standard library's `json.dumps(value, sort_keys=True, separators=(",", ":"),
    ensure_ascii=False)` gives the same bytes for the values that records hold: text, whole
    numbers, booleans, null, and lists and objects of these. Fractions are recorded as text.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(salt: bytes, value: Any) -> bytes:
    """SHA-256 of the salt followed by the canonical JSON of `value`."""
    return digest_of_text(salt, canonical(value))


def digest_of_text(salt: bytes, text: bytes) -> bytes:
    """The same for JSON that is canonical already."""
    return hashlib.sha256(salt + text).digest()

"""Checks metadata.json, in the form that the official client writes and in ours."""

import json
import math
from typing import Any

from apps.core.errors import Invalid
from apps.serving.errors import BadRequest
from apps.serving.protocol import instances_of
from apps.serving.schema import compile_schema

PROBLEM_TYPES = ("regression", "classification", "classificationWithProbabilities")
FEATURE_TYPES = ("number", "integer", "category", "boolean", "text", "any")
_TEXTS = ("label", "unit", "description")
_FLAGS = ("nullable", "protected")
_MOST_DIGITS = 18
_NUL = "\\u0000"
_NUMBERS = ("observedMin", "observedMax", "observedMean")


def parsed(content: bytes) -> dict[str, Any]:
    """The object in a metadata.json file. Raises Invalid, with line and column."""
    value = parsed_value(content)
    if not isinstance(value, dict):
        raise _unreadable("It must hold one JSON object.")
    return value


def parsed_value(content: bytes) -> Any:
    """The JSON value in `content`, of a kind that the database keeps. Raises Invalid."""
    try:
        value = json.loads(content.decode("utf-8-sig"), parse_int=_whole)
        stored = json.dumps(value, allow_nan=False)
    except UnicodeDecodeError:
        raise _unreadable("It is no UTF-8 text.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _unreadable(f"It is no JSON: {error.msg} in {where}.") from None
    except RecursionError:
        raise _unreadable("It is nested too deeply.") from None
    except ValueError:
        raise _unreadable("It holds NaN or Infinity, which JSON does not know.") from None
    if _NUL in stored:
        raise _unreadable("It holds a NUL character, which the database cannot keep.")
    return value


def _whole(text: str) -> int:
    """A whole number of at most 64 bits: what every reader of the metadata can hold."""
    if len(text) > _MOST_DIGITS:
        raise _unreadable(f"It holds the number {text[:12]}…, which is too large.")
    return int(text)


def checked(metadata: Any) -> dict[str, Any]:
    """The metadata with numbers as numbers. Raises Invalid with the path of each fault."""
    if not isinstance(metadata, dict):
        raise Invalid("metadata.json must hold one JSON object.")
    errors: list[dict[str, str]] = []
    result = parsed(json.dumps(metadata).encode())
    if "features" in result:
        result["features"] = _features(result["features"], errors)
    kind = result.get("problemType")
    if kind is not None and kind not in PROBLEM_TYPES:
        _add(errors, "problemType", f"must be one of {', '.join(PROBLEM_TYPES)}")
    classes = result.get("predictionClasses")
    if classes is not None and not isinstance(classes, dict):
        _add(errors, "predictionClasses", "must be an object of label and value")
    if not errors and result.get("exampleInput") is not None:
        _check_example(result, errors)
    if errors:
        first = errors[0]
        raise Invalid(f"metadata.json: {first['field']} {first['message']}", errors)
    return result


def _features(entries: Any, errors: list[dict[str, str]]) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        _add(errors, "features", "must be a list")
        return []
    features, names = [], set()
    for index, entry in enumerate(entries):
        path = f"features[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            _add(errors, path, "must be an object with a name")
            continue
        if entry["name"] in names:
            _add(errors, path, f"repeats the name {entry['name']}")
        names.add(entry["name"])
        features.append(_feature(entry, path, errors))
    return features


def _feature(entry: dict[str, Any], path: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    feature = dict(entry)
    for key in _NUMBERS:
        if feature.get(key) is not None:
            feature[key] = _number(feature[key])
            if feature[key] is None:
                _add(errors, f"{path}.{key}", "must be a number")
    if feature.get("type", "any") not in FEATURE_TYPES:
        _add(errors, f"{path}.type", f"must be one of {', '.join(FEATURE_TYPES)}")
    for key in _TEXTS:
        if not isinstance(feature.get(key, ""), str):
            _add(errors, f"{path}.{key}", "must be text")
    for key in _FLAGS:
        if not isinstance(feature.get(key, False), bool):
            _add(errors, f"{path}.{key}", "must be true or false")
    _check_categories(feature, path, errors)
    return feature


def _number(value: Any) -> float | int | None:
    """The number, also from text, as the official client writes it; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _check_categories(feature: dict[str, Any], path: str, errors: list[dict[str, str]]) -> None:
    categories = feature.get("categories") or []
    words = feature.get("categoryLabels") or {}
    if not isinstance(categories, list) or not all(
        isinstance(value, str | int | float) for value in categories
    ):
        _add(errors, f"{path}.categories", "must be a list of texts or numbers")
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        _add(errors, f"{path}.categoryLabels", "must be an object of category and text")


def _check_example(metadata: dict[str, Any], errors: list[dict[str, str]]) -> None:
    try:
        instances = instances_of(metadata["exampleInput"])
    except BadRequest as error:
        _add(errors, "exampleInput", error.message)
        return
    for violation in compile_schema(metadata).check(instances)[:5]:
        _add(errors, f"exampleInput[{violation.instance}]", violation.message)


def _add(errors: list[dict[str, str]], field: str, message: str) -> None:
    errors.append({"field": field, "message": message})


def _unreadable(message: str) -> Invalid:
    return Invalid(f"metadata.json: {message}", [{"field": "metadata", "message": message}])

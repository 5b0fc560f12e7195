"""Reads what somebody says that a prediction should be, or turned out to be.

On the wire it is `{"predictions": [value]}`, as the data plane answers, or the value itself. It
must be something that the model could have said. Pure functions.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

from apps.predictions.gateway.bodies import outcome_of

_WRAPPED = "predictions"
_LONGEST = 10_000
_LONGEST_OUTCOME = 200
_SHOWN = 60
_MOST_NAMED = 8
_FORM = 'Give {"predictions": [value]} or the value itself.'


class Unfit(ValueError):
    """Why a value cannot be one of this model, in words for people."""


@dataclass(frozen=True, slots=True)
class Value:
    """JSON text, and the class or value in it as `PredictionRecord.outcome` writes it."""

    text: str
    outcome: str | None


def read(given: Any, metadata: dict[str, Any], output: Any) -> Value:
    """A value of the model that gave `output`. Raises Unfit."""
    value = _unwrapped(given)
    text = _text(value)
    return Value(text, _outcome(value, metadata, output)[:_LONGEST_OUTCOME])


def read_wish(given: Any, metadata: dict[str, Any], output: Any) -> Value | None:
    """A desired output; None for null. An object of another form is kept as it is, and names no
    outcome, for applications that write more than a value. Raises Unfit."""
    if given is None:
        return None
    if isinstance(given, dict) and _WRAPPED not in given:
        return Value(_text(given), None)
    return read(given, metadata, output)


def _unwrapped(given: Any) -> Any:
    if not isinstance(given, dict) or _WRAPPED not in given:
        return given
    values = given[_WRAPPED]
    if not isinstance(values, list):
        raise Unfit(f'"predictions" must be a list. {_FORM}')
    if len(values) != 1:
        raise Unfit(f"One prediction has one value, not {len(values)}. {_FORM}")
    return values[0]


def _text(value: Any) -> str:
    if value is None:
        raise Unfit(f"It is null. {_FORM}")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("It holds characters that are no valid Unicode.") from None
    except ValueError:
        raise Unfit("It holds NaN or Infinity, which JSON does not know.") from None
    if len(text) > _LONGEST:
        raise Unfit(f"It has {len(text):,} characters; at most {_LONGEST:,} are kept.")
    return text


def _outcome(value: Any, metadata: dict[str, Any], output: Any) -> str:
    kind = metadata.get("problemType")
    classes = metadata.get("predictionClasses") or {}
    if kind == "regression":
        return _number(value, output, metadata)
    if classes:
        return _class(value, classes)
    if kind == "classificationWithProbabilities" and isinstance(output, list):
        return _position(value, len(output))
    if kind is not None and isinstance(value, list | dict):
        raise Unfit(f"{_short(value)} is no class. {_FORM}")
    return outcome_of(value, metadata)[0]


def _class(value: Any, classes: dict[str, Any]) -> str:
    """The label of a class, which may be named by its label or by its value."""
    if isinstance(value, str) and value in classes:
        return value
    names = {_key(each): str(label) for label, each in classes.items()}
    found = None if isinstance(value, list | dict) else names.get(_key(value))
    if found is None:
        named = sorted(map(str, classes), key=lambda label: _key(classes.get(label)))[:_MOST_NAMED]
        more = ", …" if len(classes) > _MOST_NAMED else ""
        known = ", ".join(named) + more
        raise Unfit(f"{_short(value)} is no class of this model; its classes are {known}.")
    return found


def _key(value: Any) -> str:
    """True and 1.0 name the class 1, as in Python and in the official client's examples."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def _position(value: Any, count: int) -> str:
    """The number of a class whose name nobody told."""
    key = "" if isinstance(value, list | dict) else _key(value)
    if not (key.isascii() and key.isdigit() and int(key) < count):
        text = f"{_short(value)} is no class of this model; its classes are 0 to {count - 1}."
        raise Unfit(text)
    return key


def _number(value: Any, output: Any, metadata: dict[str, Any]) -> str:
    wanted = len(output) if isinstance(output, list) else None
    if wanted == 1 and not isinstance(value, list):
        value = [value]
    if wanted is None:
        if not _is_number(value):
            raise Unfit(f"{_short(value)} is no number, and this model predicts one.")
    elif not isinstance(value, list) or len(value) != wanted or not all(map(_is_number, value)):
        raise Unfit(f"{_short(value)} is no list of {wanted} numbers, which this model predicts.")
    return outcome_of(value, metadata)[0]


def _is_number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and abs(value) < 1e308 and math.isfinite(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

"""What an operator sets of a queue, checked field by field. Pure functions."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from apps.core.errors import Invalid
from apps.feedback.review.rules import checked as checked_rules
from apps.feedback.review.subjects import Model, as_number
from apps.feedback.review.texts import keepable

LONGEST_NAME = 80
MOST_MINUTES = 240
MOST_REASONS = 9
_LONGEST_REASON = 120
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MODES = ("assisted", "blind")
Errors = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What `ReviewQueue` holds under the same names; as many reasons as there are number keys."""

    name: str
    mode: str = "assisted"
    rules: list[dict[str, Any]] = field(default_factory=list)
    audit_probability: float = 0.02
    alpha: float | None = None
    turns_at: float | None = None
    novelty: float | None = None
    double_share: float = 0.0
    known_wrong_share: float = 0.0
    claim_minutes: int = 15
    reasons: list[dict[str, str]] = field(default_factory=list)

    @property
    def fields(self) -> dict[str, Any]:
        return asdict(self)


def wire_name(name: str) -> str:
    """The name of a field in the API and in messages."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def checked(given: QueueSettings, model: Model, *, has_reference: bool) -> QueueSettings:
    """The settings in their plain form. Raises Invalid with every fault and its field."""
    errors: Errors = []
    rules, faults = checked_rules(given.rules, model)
    reasons = _reasons(given.reasons, errors)
    name = given.name.strip() if isinstance(given.name, str) else ""
    if not name or len(name) > LONGEST_NAME or not keepable(name):
        _add(errors, "name", f"Give it a name of at most {LONGEST_NAME} characters.")
    if given.mode not in _MODES:
        _add(errors, "mode", f"Say one of {', '.join(_MODES)}.")
    numbers = {
        key: _number(getattr(given, key), key, check, text, errors) for key, check, text in _NUMBERS
    }
    errors += faults
    errors += _against(model, given, numbers, has_reference)
    if errors:
        raise Invalid(errors[0]["message"], errors)
    plain: dict[str, Any] = dict(numbers)
    plain["claim_minutes"] = int(plain["claim_minutes"])
    return replace(given, name=name, rules=rules, reasons=reasons, **plain)


def _against(
    model: Model, given: QueueSettings, numbers: dict[str, float | None], has_reference: bool
) -> Iterator[dict[str, str]]:
    """What this model does not allow."""
    if numbers["alpha"] is not None and model.gives_numbers and given.turns_at is None:
        text = "Say at which predicted number the decision turns; only near it does a case matter."
        yield {"field": "turnsAt", "message": text}
    if numbers["alpha"] is not None and not (model.gives_numbers or model.gives_probabilities):
        text = "This model gives no probabilities, so nothing tells how uncertain it is."
        yield {"field": "alpha", "message": text}
    if numbers["novelty"] is not None and not has_reference:
        text = "The model version has no reference data to which a case could be new; add a sample."
        yield {"field": "novelty", "message": text}
    if numbers["known_wrong_share"] and model.gives_numbers:
        text = "A predicted number is hardly ever right to the digit; this is for classes."
        yield {"field": "knownWrongShare", "message": text}


def _reasons(given: Any, errors: Errors) -> list[dict[str, str]]:
    if not isinstance(given, list) or len(given) > MOST_REASONS:
        _add(errors, "reasons", f"Give a list of at most {MOST_REASONS} reasons.")
        return []
    found: list[dict[str, str]] = []
    for index, each in enumerate(given):
        path = f"reasons[{index}]"
        key = each.get("key") if isinstance(each, dict) else None
        text = each.get("text") if isinstance(each, dict) else None
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            words = "A key has at most 40 small letters, digits, hyphens and underscores."
            _add(errors, f"{path}.key", words)
        elif key in {one["key"] for one in found}:
            _add(errors, f"{path}.key", f"The key {key} is there twice.")
        elif not isinstance(text, str) or not _fits(text):
            _add(errors, f"{path}.text", f"Give a text of at most {_LONGEST_REASON} characters.")
        else:
            found.append({"key": key, "text": text.strip()})
    return found


def _fits(text: str) -> bool:
    return 0 < len(text.strip()) <= _LONGEST_REASON and keepable(text)


def _number(
    value: Any, name: str, check: Callable[[float], bool], text: str, errors: Errors
) -> float | None:
    if value is None and name in _OPTIONAL:
        return None
    number = as_number(value)
    if number is None or not check(number):
        _add(errors, wire_name(name), text)
        return None
    return number


def _add(errors: Errors, field: str, message: str) -> None:
    errors.append({"field": field, "message": message})


def _is_share(number: float) -> bool:
    return 0 <= number <= 1


_SHARES = ("audit_probability", "double_share", "known_wrong_share")
_OPTIONAL = ("alpha", "turns_at", "novelty")
_SHARE = "Give a share between 0 and 1."
_NUMBERS: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    *((name, _is_share, _SHARE) for name in _SHARES),
    ("alpha", lambda n: 0 < n < 1, "Give a share above 0 and below 1, such as 0.1."),
    ("turns_at", lambda n: True, "Give a number."),
    ("novelty", lambda n: 0 < n <= 1, "Give a percentile above 0 and at most 1, such as 0.99."),
    (
        "claim_minutes",
        lambda n: n.is_integer() and 1 <= n <= MOST_MINUTES,
        f"Give whole minutes from 1 to {MOST_MINUTES}.",
    ),
)

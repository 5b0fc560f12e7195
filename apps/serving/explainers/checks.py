"""Whether what somebody's own explainer returns has the shape that all methods have."""

import math
from collections.abc import Callable
from typing import Any

from apps.serving.errors import ModelFailure

_PARTS = ("contributions", "rule", "counterfactuals", "curves", "reasons", "picture")
_BESIDE = {"baseValue", "fidelity"}
_SHARES = ("precision", "precisionLowerBound", "coverage")
_MOST_VALUES = 1_000_000
_DEEPEST = 12


# The features that may be named; None where the model knows its places by no name.
Names = list[str] | None


def check(
    made: Any, names: Names, case: dict[str, Any], at: int, whose: str = "module"
) -> dict[str, Any]:
    """One row's explanation, contributions in feature order with the values of the `case`, where
    places have names. Raises ModelFailure in words."""
    where = f"The {whose}'s explanation of instance {at}"
    if not isinstance(made, dict):
        raise ModelFailure(f"{where} must be an object, not {described(made)}")
    parts = [part for part in _PARTS if part in made]
    if len(parts) != 1:
        raise ModelFailure(f"{where} must hold exactly one of {', '.join(_PARTS)}")
    strange = sorted(str(key) for key in set(made) - {*parts, *_BESIDE})
    if strange:
        raise ModelFailure(f"{where} holds {strange[0]}, which no explanation has")
    check_json(made, where)
    if not isinstance(made.get("fidelity", {}), dict):
        raise ModelFailure(f"{where} has a fidelity that is no object")
    if isinstance(made.get("baseValue"), str | list | dict):
        raise ModelFailure(f"{where} has a baseValue that is no number")
    part = parts[0]
    found = dict(made) | {part: _SHAPES[part](made[part], names, where)}
    if part == "contributions" and names is not None:
        found[part] = [{"value": case.get(each["feature"])} | each for each in found[part]]
    return found


def _contributions(given: Any, names: Names, where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"feature", "contribution"}, "contributions", where)
    for entry in entries:
        _check_feature(entry["feature"], None, where)
    by_name = {entry["feature"]: entry for entry in entries}
    names = list(by_name) if names is None else names
    if len(by_name) < len(entries) or set(by_name) != set(names):
        wrong = sorted(set(by_name) ^ set(names)) or ["one twice"]
        raise ModelFailure(
            f"{where} must have one contribution of each feature; wrong: {', '.join(wrong[:5])}"
        )
    for entry in entries:
        _check_number(entry["contribution"], f"{where}: the contribution of {entry['feature']}")
    return [by_name[name] for name in names]


def _rule(given: Any, names: Names, where: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("found"), bool):
        raise ModelFailure(f"{where} needs a rule with found, true or false, and conditions")
    needed = {"feature", "op", "value"}
    for each in _objects(given.get("conditions"), needed, "conditions", where):
        _check_feature(each["feature"], names, where)
        if each["op"] not in ("<=", ">", "=", "in"):
            raise ModelFailure(f"{where} compares with {each['op']}; known are <=, >, = and in")
    for name in _SHARES:
        _check_number(given.get(name, 0), f"{where}: the rule's {name}")
    return dict.fromkeys(_SHARES) | {"support": None, "tried": None} | _without_keeps(given)


def _without_keeps(rule: dict[str, Any]) -> dict[str, Any]:
    """What a rule keeps is the answer that was given, which we know better."""
    return {key: value for key, value in rule.items() if key != "keeps"}


def _counterfactuals(given: Any, names: Names, where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"changes"}, "counterfactuals", where)
    for entry in entries:
        for each in _objects(entry["changes"], {"feature", "from", "to"}, "changes", where):
            _check_feature(each["feature"], names, where)
    return [{"output": None} | entry for entry in entries]


def _curves(given: Any, names: Names, where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"features", "grid", "average"}, "curves", where)
    for entry in entries:
        if not isinstance(entry["features"], list) or not 1 <= len(entry["features"]) <= 2:
            raise ModelFailure(f"{where} has a curve of other than one or two features")
        for name in entry["features"]:
            _check_feature(name, names, where)
        if len(entry["features"]) == 1:
            _check_curve(entry, where)
    return entries


def _check_curve(entry: dict[str, Any], where: str) -> None:
    """A grid, and as many numbers on the average line and on that of the case."""
    grid = entry["grid"]
    if not isinstance(grid, list) or not grid:
        raise ModelFailure(f"{where} has a curve without a grid")
    for line in (entry["average"], entry.get("individual") or entry["average"]):
        if not isinstance(line, list) or len(line) != len(grid):
            raise ModelFailure(f"{where} has a curve of other than {len(grid)} values")
        for value in line:
            _check_number(value, f"{where}: a curve's value")


def _reasons(given: Any, names: Names, where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"code", "text", "features"}, "reasons", where)
    for entry in entries:
        if not isinstance(entry["features"], list):
            raise ModelFailure(f"{where} has a reason whose features are no list")
        for name in entry["features"]:
            _check_feature(name, names, where)
        _check_number(entry.get("share", 0), f"{where}: the share of a reason")
    return [{"share": None} | entry for entry in entries]


def _picture(given: Any, names: Names, where: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not {"shape", "values"} <= given.keys():
        raise ModelFailure(f"{where} needs a picture with shape and values")
    if not isinstance(given["shape"], list) or not isinstance(given["values"], list):
        raise ModelFailure(f"{where} has a picture whose shape or values are no list")
    return given


_SHAPES: dict[str, Callable[[Any, Names, str], Any]] = {
    "contributions": _contributions,
    "rule": _rule,
    "counterfactuals": _counterfactuals,
    "curves": _curves,
    "reasons": _reasons,
    "picture": _picture,
}


def _objects(given: Any, keys: set[str], part: str, where: str) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise ModelFailure(f"{where} has {part} that are no list")
    for entry in given:
        if not isinstance(entry, dict) or not keys <= entry.keys():
            raise ModelFailure(f"{where}: each of {part} needs {', '.join(sorted(keys))}")
    return given


def _check_feature(name: Any, names: Names, where: str) -> None:
    if not isinstance(name, str):
        raise ModelFailure(f"{where} names a feature by {described(name)}, not by a text")
    if names is not None and name not in names:
        raise ModelFailure(f"{where} names {name}, which is no feature of the model")


def _check_number(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelFailure(f"{what} must be a number, not {described(value)}")


def check_json(made: Any, where: str) -> None:
    """Refuses what JSON cannot carry, what is too deep, and what is too much."""
    left = [(made, 0)]
    seen = 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > _MOST_VALUES or depth > _DEEPEST:
            raise ModelFailure(f"{where} is too large or nested too deeply")
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise ModelFailure(f"{where} has a key that is no text")
            left += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            left += [(each, depth + 1) for each in value]
        elif isinstance(value, float) and not math.isfinite(value):
            raise ModelFailure(f"{where} holds NaN or infinity")
        elif type(value) not in (str, int, float, bool, type(None)):
            raise ModelFailure(f"{where} holds {described(value)}, which is no JSON")


def described(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"

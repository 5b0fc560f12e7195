"""An explainer of the owner's own: a Python module with `explain(instances, predict)`.

`instances` are as a client sends them, `predict` gives the model's answers to a list of such. It
returns one object per instance with one of `contributions`, `rule`, `counterfactuals`, `curves`,
`reasons` or `picture` in the shape that all methods have, and `baseValue` or `fidelity` where it
has them. What does not fit is refused, so that nothing malformed is stored or drawn.
"""

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from apps.serving.errors import LoadError, ModelFailure, ServingError
from apps.serving.explainers.base import Background, Budget, answer
from apps.serving.explainers.tabular import said
from apps.serving.loaders.base import first_line

_PARTS = ("contributions", "rule", "counterfactuals", "curves", "reasons", "picture")
_BESIDE = {"baseValue", "fidelity", "rules"}
_MOST_VALUES = 1_000_000
_DEEPEST = 12


class Custom:
    """Loads the module when it is made, and checks what its `explain` returns."""

    method = "custom"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        strange = sorted(set(settings) - {"module"})
        if strange:
            raise LoadError(f"custom has no setting {strange[0]}; it has module")
        self.subject, self.seed = subject, seed
        self.explains = _explain_of(settings.get("module"))
        self.background: Background | None = None

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        return "" if subject.features else "The model takes tensors, not features that have names"

    def fit(self, background: Background) -> None:
        self.background = background

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        frame = self.subject.frame(instances)
        made = self._made(instances, budget)
        budget.check()
        found: dict[int, dict[str, Any]] = {}
        for subject, positions in self.subject.by_target(frame):
            budget.spend(len(positions))
            told = said(subject, frame.iloc[positions].reset_index(drop=True))
            for place, at in enumerate(positions.tolist()):
                found[at] = answer(
                    self,
                    subject,
                    prediction=told.scores[place],
                    output=told.answers[place],
                    base_value=made[at].pop("baseValue", None),
                    background=self.background,
                    fidelity=made[at].pop("fidelity", {}),
                    budget=budget,
                    **made[at],
                )
        return [found[at] for at in range(len(frame))]

    def _made(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        """What the module returns, checked. Whatever it does wrong is a ModelFailure."""

        def predict(rows: list[Any]) -> list[Any]:
            budget.spend(len(rows))
            answers: list[Any] = self.subject.answers(self.subject.frame(rows))
            return answers

        try:
            returned = self.explains([_copied(each) for each in instances], predict)
        except ServingError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {first_line(error)}"
            raise ModelFailure(f"The module's explain failed: {why}") from error
        if not isinstance(returned, list) or len(returned) != len(instances):
            raise ModelFailure(
                f"The module's explain must return a list of {len(instances)}, one for each "
                f"instance, not {_described(returned)}"
            )
        return [check(each, self.subject.names, at) for at, each in enumerate(returned)]


def check(made: Any, names: list[str], at: int) -> dict[str, Any]:
    """One row's explanation, contributions in feature order. Raises ModelFailure in words."""
    where = f"The module's explanation of instance {at}"
    if not isinstance(made, dict):
        raise ModelFailure(f"{where} must be an object, not {_described(made)}")
    parts = [part for part in _PARTS if part in made]
    if len(parts) != 1:
        raise ModelFailure(f"{where} must hold exactly one of {', '.join(_PARTS)}")
    strange = sorted(str(key) for key in set(made) - {*parts, *_BESIDE})
    if strange:
        raise ModelFailure(f"{where} holds {strange[0]}, which no explanation has")
    _check_json(made, where)
    if not isinstance(made.get("fidelity", {}), dict):
        raise ModelFailure(f"{where} has a fidelity that is no object")
    if isinstance(made.get("baseValue"), str | list | dict):
        raise ModelFailure(f"{where} has a baseValue that is no number")
    part = parts[0]
    return dict(made) | {part: _SHAPES[part](made[part], names, where)}


def _contributions(given: Any, names: list[str], where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"feature", "contribution"}, "contributions", where)
    by_name = {entry["feature"]: entry for entry in entries}
    if len(by_name) < len(entries) or set(by_name) != set(names):
        wrong = sorted(str(name) for name in set(by_name) ^ set(names)) or ["one twice"]
        raise ModelFailure(
            f"{where} must have one contribution of each feature; wrong: {', '.join(wrong[:5])}"
        )
    for entry in entries:
        _check_number(entry["contribution"], f"{where}: the contribution of {entry['feature']}")
    return [by_name[name] for name in names]


def _rule(given: Any, names: list[str], where: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not isinstance(given.get("found"), bool):
        raise ModelFailure(f"{where} needs a rule with found, true or false, and conditions")
    needed = {"feature", "op", "value"}
    for each in _objects(given.get("conditions"), needed, "conditions", where):
        _check_feature(each["feature"], names, where)
        if each["op"] not in ("<=", ">", "=", "in"):
            raise ModelFailure(f"{where} compares with {each['op']}; known are <=, >, = and in")
    return given


def _counterfactuals(given: Any, names: list[str], where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"changes"}, "counterfactuals", where)
    for entry in entries:
        for each in _objects(entry["changes"], {"feature", "from", "to"}, "changes", where):
            _check_feature(each["feature"], names, where)
    return entries


def _curves(given: Any, names: list[str], where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"features", "grid", "average"}, "curves", where)
    for entry in entries:
        if not isinstance(entry["features"], list) or not 1 <= len(entry["features"]) <= 2:
            raise ModelFailure(f"{where} has a curve of other than one or two features")
        for name in entry["features"]:
            _check_feature(name, names, where)
    return entries


def _reasons(given: Any, names: list[str], where: str) -> list[dict[str, Any]]:
    entries = _objects(given, {"code", "text", "features"}, "reasons", where)
    for entry in entries:
        for name in entry["features"]:
            _check_feature(name, names, where)
    return entries


def _picture(given: Any, names: list[str], where: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not {"shape", "values"} <= given.keys():
        raise ModelFailure(f"{where} needs a picture with shape and values")
    return given


_SHAPES: dict[str, Callable[[Any, list[str], str], Any]] = {
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


def _check_feature(name: Any, names: list[str], where: str) -> None:
    if name not in names:
        raise ModelFailure(f"{where} names {name}, which is no feature of the model")


def _check_number(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelFailure(f"{what} must be a number, not {_described(value)}")


def _check_json(made: Any, where: str) -> None:
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
            raise ModelFailure(f"{where} holds {_described(value)}, which is no JSON")


def _explain_of(path: Any) -> Callable[[list[Any], Callable[[list[Any]], list[Any]]], Any]:
    """The module's `explain`. Raises LoadError where there is none."""
    if not isinstance(path, str) or not Path(path).is_file():
        raise LoadError("A custom explainer needs a Python module: a file with explain()")
    module = _module(Path(path))
    found = getattr(module, "explain", None)
    if not callable(found):
        raise LoadError("The module has no function explain(instances, predict)")
    explain: Callable[[list[Any], Callable[[list[Any]], list[Any]]], Any] = found
    return explain


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("custom_explainer", path)
    if spec is None or spec.loader is None:
        raise LoadError("The custom explainer must be a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise LoadError(f"The module cannot be loaded: {why}") from error
    return module


def _copied(instance: Any) -> Any:
    """So that the module's changes do not reach what is explained."""
    return dict(instance) if isinstance(instance, dict) else list(instance)


def _described(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"

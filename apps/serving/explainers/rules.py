"""Rules that an expert sets on raw features, such as amounts, velocity or countries: which fired.

They say nothing of the model; they stand beside its reasons, exact and readable.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from apps.serving.errors import LoadError
from apps.serving.explainers.base import Background, Budget, Feature, answer, plain
from apps.serving.explainers.tabular import said

_ORDERED = {"<", "<=", ">", ">="}
_LISTED = {"in", "not in"}
_OPS = ("<", "<=", ">", ">=", "=", "!=", "in", "not in")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a raw feature; a missing value meets none."""

    feature: str
    op: str
    value: Any

    def met(self, value: Any) -> bool:
        if value is None:
            return False
        if self.op in _LISTED:
            return bool((value in self.value) == (self.op == "in"))
        if self.op in ("=", "!="):
            return bool((value == self.value) == (self.op == "="))
        if self.op in ("<", "<="):
            return bool(value < self.value or (self.op == "<=" and value == self.value))
        return bool(value > self.value or (self.op == ">=" and value == self.value))


@dataclass(frozen=True, slots=True)
class Rule:
    """Fires where all of its conditions are met."""

    name: str
    text: str
    conditions: tuple[Condition, ...]

    def applied(self, row: dict[str, Any]) -> dict[str, Any]:
        """What the answer says of it: whether it fired, and the values that it looked at."""
        return {
            "rule": self.name,
            "text": self.text,
            "fired": all(each.met(row[each.feature]) for each in self.conditions),
            "value": {each.feature: row[each.feature] for each in self.conditions},
        }


def read_rules(entries: Any, features: tuple[Feature, ...]) -> tuple[Rule, ...]:
    """Rules as they are written; raises LoadError naming the rule and what is wrong with it."""
    if not isinstance(entries, list):
        raise LoadError('"rules" must be a list of rules')
    known = {feature.name: feature for feature in features}
    rules = tuple(_rule(entry, known, at) for at, entry in enumerate(entries))
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LoadError(f"Two rules are named {twice[0]}")
    return rules


def _rule(entry: Any, known: dict[str, Feature], at: int) -> Rule:
    if not isinstance(entry, dict) or not str(entry.get("rule") or "").strip():
        raise LoadError(f'Rule {at + 1} needs a name: set its "rule"')
    name = str(entry["rule"])
    conditions = entry.get("conditions")
    if not isinstance(conditions, list) or not conditions:
        raise LoadError(f"The rule {name} has no conditions")
    read = tuple(_condition(each, known, name) for each in conditions)
    return Rule(name, str(entry.get("text") or name), read)


def _condition(entry: Any, known: dict[str, Feature], rule: str) -> Condition:
    if not isinstance(entry, dict) or not {"feature", "op", "value"} <= entry.keys():
        raise LoadError(f"A condition of the rule {rule} needs feature, op and value")
    name, op, value = entry["feature"], entry["op"], entry["value"]
    if name not in known:
        raise LoadError(f"The rule {rule} looks at {name}, which is no feature of the model")
    if op not in _OPS:
        raise LoadError(f"The rule {rule} compares with {op}; known are {', '.join(_OPS)}")
    if (op in _LISTED) != isinstance(value, list):
        needed = "a list" if op in _LISTED else "one value"
        raise LoadError(f"The rule {rule} compares {name} by {op}, which needs {needed}")
    _check_values(value if isinstance(value, list) else [value], op, known[name], rule)
    return Condition(name, op, value)


def _check_values(values: list[Any], op: str, feature: Feature, rule: str) -> None:
    number = feature.kind in ("number", "integer")
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if (number or op in _ORDERED) and not is_number:
            raise LoadError(f'The rule {rule} compares {feature.name} with "{value}", no number')
        if op in _ORDERED and not number and feature.kind != "any":
            raise LoadError(f"The rule {rule} orders {feature.name}, which holds no numbers")
        if feature.categories and value not in feature.categories:
            raise LoadError(f'The rule {rule} names "{value}", no category of {feature.name}')


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Raw values by feature, null where one is missing."""
    records = frame.to_dict("records")
    return [{str(name): plain(value) for name, value in row.items()} for row in records]


class Rules:
    """The rules alone, for a model whose reasons are not asked for. Needs no background."""

    method = "rules"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        self.subject, self.seed = subject, seed
        strange = sorted(set(settings) - {"rules"})
        if strange:
            raise LoadError(f"rules has no setting {strange[0]}; it has rules")
        self.rules = read_rules(settings.get("rules"), subject.features)
        self.background: Background | None = None

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        return "" if subject.features else "The model takes tensors, not features that have names"

    def fit(self, background: Background) -> None:
        self.background = background

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        frame = self.subject.frame(instances)
        budget.spend(len(frame))
        found: dict[int, dict[str, Any]] = {}
        rows = rows_of(frame)
        for subject, positions in self.subject.by_target(frame):
            told = said(subject, frame.iloc[positions].reset_index(drop=True))
            for place, at in enumerate(positions.tolist()):
                found[at] = answer(
                    self,
                    subject,
                    prediction=told.scores[place],
                    output=told.answers[place],
                    base_value=None,
                    background=self.background,
                    fidelity={"exact": True},
                    budget=budget,
                    reasons=[],
                    rules=[rule.applied(rows[at]) for rule in self.rules],
                )
        return [found[at] for at in range(len(frame))]

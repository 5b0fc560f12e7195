"""Anchors: a short rule under which the model almost always answers the same.

Ribeiro, Singh and Guestrin, "Anchors: High-Precision Model-Agnostic Explanations", AAAI 2018. The
distribution D(z|A) is the empirical one of a held-out reference: the reference rows that meet the
rule. So the model is asked about the reference once and never while a rule is sought, the answer
is deterministic, and precision means what a reader takes it for. Rules are sought on one half of
the reference and certified on the other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Background, Budget, answer
from apps.serving.explainers.beam import Rule, Search, kl_lower_bound, seek
from apps.serving.explainers.tabular import Said, Tabular, finite_outputs, read_settings

_FEWEST_ROWS = 40
Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on one feature, by its position, that the explained row meets."""

    at: int
    op: str
    code: float

    def met(self, codes: Array) -> Array:
        column = codes[:, self.at]
        if np.isnan(self.code):
            return np.asarray(np.isnan(column))
        if self.op == "<=":
            return np.asarray(column <= self.code)
        return np.asarray(column > self.code if self.op == ">" else column == self.code)


class Anchors(Tabular):
    """The surest certified rule for each row, or the word that there is none."""

    method = "anchors"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.search = read_settings(Search, self.settings, self.method)

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        why = super().suits(subject, background)
        if why or background is None or len(background.frame) >= _FEWEST_ROWS:
            return why
        return _too_few(len(background.frame))

    def fit(self, background: Background) -> None:
        """Asks the model about the reference. Raises BadRequest where it has too few rows."""
        super().fit(background)
        if len(self.codes) < _FEWEST_ROWS:
            raise BadRequest(_too_few(len(self.codes)))
        order = np.random.default_rng(self.seed).permutation(len(self.codes))
        self.codes = self.codes[order]
        self.half = len(order) // 2
        self.outputs = finite_outputs(self.subject, self.coding.frame(self.codes))
        self.cuts = [
            np.unique(np.nanquantile(column, _DECILES)) if numeric and _known(column) else None
            for column, numeric in zip(self.codes.T, self.coding.numeric, strict=True)
        ]

    def _explain(
        self, subject: Any, row: pd.DataFrame, told: Said, budget: Budget
    ) -> dict[str, Any]:
        coding = self.coding.including(row)
        code = coding.codes(row)[0]
        output = told.outputs[0]
        same = self._same(subject, output)
        predicates = self._predicates(code)
        met = np.column_stack([each.met(self.codes) for each in predicates])
        budget.check()
        kinds = [(each.at, each.op) for each in predicates]
        half = self.half
        rules = seek(met[:half], same[:half], kinds, self.search)
        found = certified(met[half:], same[half:], rules, self.search)
        budget.check()
        rule = {
            "found": found is not None,
            "conditions": self._conditions(coding, predicates, found),
            "precision": found.precision if found else None,
            "precisionLowerBound": found.lower if found else None,
            "coverage": found.coverage if found else None,
            "support": found.support if found else 0,
            "tried": len(rules),
        } | self._keeps(subject, output)
        return answer(
            self,
            subject,
            prediction=told.scores[0],
            output=told.answers[0],
            base_value=None,
            background=self.background,
            fidelity=self._fidelity(found),
            budget=budget,
            rule=rule,
        )

    def _same(self, subject: Any, output: Array) -> Array:
        """Which reference rows are answered as this one: its class, or a value close to its own."""
        if subject.classes:
            return np.asarray(self.outputs.argmax(axis=1) == output.argmax())
        values = self.outputs[:, subject.target]
        return np.asarray(np.abs(values - output[subject.target]) <= self._width(subject))

    def _width(self, subject: Any) -> float:
        return self.search.width or float(np.std(self.outputs[:, subject.target])) / 2

    def _keeps(self, subject: Any, output: Array) -> dict[str, Any]:
        """What the rule keeps: the class that is predicted, or the range around the value."""
        if subject.classes:
            return {"keeps": {"class": subject.classes[int(output.argmax())]}}
        value, width = float(output[subject.target]), self._width(subject)
        return {"keeps": {"from": value - width, "to": value + width}}

    def _predicates(self, code: Array) -> list[Predicate]:
        """All conditions that the row meets: cuts at the reference's deciles, values, and gaps."""
        found = []
        for at, cuts in enumerate(self.cuts):
            if cuts is None or np.isnan(code[at]):
                found.append(Predicate(at, "=", float(code[at])))
                continue
            for cut in cuts.tolist():
                found.append(Predicate(at, "<=" if code[at] <= cut else ">", cut))
        return found

    def _conditions(
        self, coding: Any, predicates: list[Predicate], found: "Certified | None"
    ) -> list[dict[str, Any]]:
        chosen = [predicates[position] for position in found.rule] if found else []
        return [
            {
                "feature": coding.names[each.at],
                "op": each.op,
                "value": each.code if each.op != "=" else coding.value(each.at, each.code),
            }
            for each in chosen
        ]

    def _fidelity(self, found: "Certified | None") -> dict[str, Any]:
        return {
            "threshold": self.search.threshold,
            "tolerance": self.search.tolerance,
            "delta": self.search.delta,
            "precisionLowerBound": found.lower if found else None,
            "support": found.support if found else 0,
            "searchRows": self.half,
            "certifyRows": len(self.codes) - self.half,
        }


@dataclass(frozen=True, slots=True)
class Certified:
    """A rule with what the certifying half says about it; `coverage` is the share that meets it."""

    rule: Rule
    precision: float
    lower: float
    coverage: float
    support: int


def certified(met: Array, same: Array, rules: list[Rule], search: Search) -> Certified | None:
    """The surest of the rules that keep the threshold on rows that no rule was sought on.

    The lower bound of each has the error delta / len(rules) (Bonferroni), so all hold together at
    delta, whichever is chosen. It grows with support: of two pure rules the wider one wins.
    """
    best: Certified | None = None
    for rule in rules:
        rows = met[:, list(rule)].all(axis=1)
        support, hits = int(rows.sum()), int((rows & same).sum())
        delta = search.delta / len(rules)
        lower = float(kl_lower_bound(np.array([hits]), np.array([support]), delta)[0])
        if not support or hits / support < search.threshold:
            continue
        if lower < search.threshold - search.tolerance:
            continue
        if best is None or lower > best.lower:
            best = Certified(rule, hits / support, lower, support / len(met), support)
    return best


_DECILES = np.linspace(0.1, 0.9, 9)


def _known(column: Array) -> bool:
    return bool(np.isfinite(column).any())


def _too_few(rows: int) -> str:
    return (
        f"Anchors need at least {_FEWEST_ROWS} held-out rows, better some hundred; the background "
        f"has {rows}"
    )

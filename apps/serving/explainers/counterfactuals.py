"""Counterfactuals: the least that would have to differ for the model to answer otherwise.

MACE: Yang, Li, Xiong and Hoi, "MACE: An Efficient Model-Agnostic Framework for Counterfactual
Explanation", arXiv:2205.15540 (2022). Four stages: candidate values from the nearest background
rows that have the wanted answer; gradient-less descent to few and small changes; a diverse choice;
numbers moved back towards the row as far as the answer allows. Each one that is given has been
asked of the model last of all.
"""

from typing import Any

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest
from apps.serving.explainers.base import Background, Budget, answer
from apps.serving.explainers.changes import Constraints, constraints_of
from apps.serving.explainers.descent import Search, diverse, nearest, searched, tightened
from apps.serving.explainers.goal import Goal, goal_of
from apps.serving.explainers.tabular import (
    Asked,
    Said,
    Tabular,
    finite_outputs,
    read_settings,
    said,
)

Array = np.ndarray


class Counterfactuals(Tabular):
    """Several diverse ones a row, each within what may change and each asked of the model."""

    method = "counterfactuals"

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.options = read_settings(Search, self.settings, self.method)

    def fit(self, background: Background) -> None:
        """Raises BadRequest where no answer of the background differs from another."""
        super().fit(background)
        self.constraints = constraints_of(self.coding, self.codes, self.options)
        self.outputs = finite_outputs(self.subject, self.coding.frame(self.codes))
        if self.subject.classes and len(np.unique(self.outputs.argmax(axis=1))) < 2:
            label = self.subject.classes[int(self.outputs[0].argmax())]
            raise BadRequest(
                f"The model answers {label} to every row of the background; counterfactuals need "
                "rows with other answers, so take a larger or more varied background"
            )

    def _explain(
        self, subject: Any, row: pd.DataFrame, told: Said, budget: Budget
    ) -> dict[str, Any]:
        coding = self.coding.including(row)
        code = coding.codes(row)[0]
        goal = goal_of(subject, told.outputs[0], self.options)
        asked = Asked(subject, coding, budget)
        limits = self.constraints.around(code)
        rows = self._found(code, limits, goal, asked)
        found = _proved(asked, goal, rows, code, limits)
        content = {"counterfactuals": found, "wanted": goal.wanted}
        if not found:
            content["note"] = self._note(limits, goal)
        return answer(
            self,
            subject,
            prediction=told.scores[0],
            output=told.answers[0],
            base_value=None,
            background=self.background,
            fidelity={"valid": True, "found": len(found), "sought": self.options.most},
            budget=budget,
            **content,
        )

    def _found(self, code: Array, limits: Constraints, goal: Goal, asked: Asked) -> Array:
        """The coded counterfactuals, the least changed first; none where there is no way."""
        close = nearest(code, self.codes[goal.margins(self.outputs) > 0], limits, self.options)
        if not len(close) or not limits.mutable.any():
            return close[:0]
        random = np.random.default_rng(self.seed)
        pool = searched(code, close, limits, goal, asked, self.options, random)
        chosen = diverse(pool, code, limits, self.options)
        return tightened(chosen, code, limits, goal, asked)

    def _note(self, limits: Constraints, goal: Goal) -> str:
        if not limits.mutable.any():
            return "No feature may change"
        if not (goal.margins(self.outputs) > 0).any():
            return "No row of the background has the wanted answer"
        return "No change that is allowed leads to the wanted answer"


def _proved(
    asked: Asked, goal: Goal, rows: Array, code: Array, limits: Constraints
) -> list[dict[str, Any]]:
    """Those that the model, asked last of all, gives the wanted answer to; with what it says."""
    if not len(rows):
        return []
    asked.budget.spend(len(rows))
    told = said(asked.subject, asked.coding.frame(rows))
    return [
        {
            "changes": _changes(asked.coding, code, rows[at]),
            "prediction": float(told.scores[at]),
            "output": told.answers[at],
            "distance": float(limits.distance(rows[at : at + 1], code)[0]),
        }
        for at in np.flatnonzero(goal.margins(told.outputs) > 0)
    ]


def _changes(coding: Any, code: Array, changed: Array) -> list[dict[str, Any]]:
    differs = (changed != code) & ~(np.isnan(changed) & np.isnan(code))
    return [
        {
            "feature": coding.names[at],
            "from": coding.value(at, code[at]),
            "to": coding.value(at, changed[at]),
        }
        for at in np.flatnonzero(differs)
    ]

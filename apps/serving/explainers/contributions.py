"""What methods share that split a score among the features: the sum is checked, always."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest, ModelFailure
from apps.serving.explainers.base import Background, Budget, answer, plain_rows
from apps.serving.explainers.subject import Subject

EXACT = 1e-6
SINGLE = 1e-4  # models that add up in single precision


@dataclass(frozen=True, slots=True)
class Found:
    """Contributions (n, features) and base values (n,) of rows; what is known of their error."""

    values: np.ndarray
    base: np.ndarray
    fidelity: Sequence[dict[str, Any]] = ()


class ContributionExplainer:
    """A method that gives every feature its share of the distance from a base value to the score.

    `settings` may name the `class` that is explained, and what DEFAULTS lists. A set whose sum
    misses the model's own score by more than `tolerance`, relative to scores above one, is never
    given: ModelFailure says so.
    """

    method: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}
    tolerance: float = EXACT

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        self.settings = read_settings(settings, self.defaults | {"class": None}, self.method)
        wanted = self.settings["class"]
        self.subject = subject if wanted is None else subject.towards(subject.index_of(wanted))
        self.seed = seed
        self.background: Background | None = None

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        return ""

    def fit(self, background: Background) -> None:
        self.background = background
        if background is not None:
            self.subject.learn(background.frame)

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        """One answer per instance, all or none."""
        frame = self.subject.frame(instances)
        answers: list[dict[str, Any]] = [{}] * len(frame)
        for subject, rows in self.subject.by_target(frame):
            whole, served = len(rows) == len(frame), budget.served
            part = frame if whole else frame.iloc[rows].reset_index(drop=True)
            told = served if whole or served is None else [served[row] for row in rows]
            made = self._explained(subject, part, told, budget)
            for row, each in zip(rows, made, strict=True):
                answers[row] = each
        return answers

    def contributions(
        self, subject: Subject, frame: pd.DataFrame, prepared: Any, budget: Budget
    ) -> Found:
        """The contributions to the score of the subject's target."""
        raise NotImplementedError

    def _explained(
        self, subject: Subject, frame: pd.DataFrame, served: list[Any] | None, budget: Budget
    ) -> list[dict[str, Any]]:
        budget.spend(len(frame))
        told = subject.told(frame, served)
        found = self.contributions(subject, frame, told.prepared, budget)
        errors = self._errors(found, told.scores)
        values = plain_rows(frame)
        budget.check()
        return [
            answer(
                self,
                subject,
                prediction=told.scores[row],
                output=told.answers[row],
                base_value=float(found.base[row]),
                background=self.background,
                fidelity={
                    "additivityError": float(errors[row]),
                    "tolerance": self.tolerance,
                    **(found.fidelity[row] if found.fidelity else {}),
                },
                budget=budget,
                contributions=[
                    {"feature": name, "value": value, "contribution": share}
                    for name, value, share in zip(
                        subject.names, values[row], found.values[row].tolist(), strict=True
                    )
                ],
            )
            for row in range(len(frame))
        ]

    def _errors(self, found: Found, scores: np.ndarray) -> np.ndarray:
        """How far each sum is from its score. Raises ModelFailure beyond the tolerance."""
        distances: np.ndarray = np.abs(found.base + found.values.sum(axis=1) - scores)
        errors: np.ndarray = distances / np.maximum(1.0, np.abs(scores))
        worst = int(errors.argmax())
        if not errors[worst] <= self.tolerance:
            raise ModelFailure(
                f"The contributions of {self.method} do not add up to the model's score: instance "
                f"{worst} misses it by {errors[worst]:.2g}, and {self.tolerance:g} is allowed. "
                "They are not given; choose another method for this model"
            )
        return errors


def read_settings(
    settings: dict[str, Any], defaults: dict[str, Any], method: str
) -> dict[str, Any]:
    """The settings over their defaults; raises BadRequest for one that the method does not have."""
    unknown = sorted(set(settings) - set(defaults))
    if unknown:
        known = ", ".join(sorted(defaults))
        raise BadRequest(f"{method} has no setting {', '.join(unknown)}; it has {known}")
    return defaults | settings


def whole_number(settings: dict[str, Any], name: str, least: int, most: int) -> int:
    """A setting that is a whole number; raises BadRequest where it is none or out of bounds."""
    value = settings[name]
    if type(value) is not int or not least <= value <= most:
        raise BadRequest(f"{name} must be a whole number from {least:,} to {most:,}, not {value}")
    return value

"""SHAP values of linear models in closed form, through scalers and one-hot columns."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from apps.serving.errors import LoadError
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.contributions import ContributionExplainer, Found
from apps.serving.explainers.grouping import summed
from apps.serving.explainers.subject import Subject


class LinearExplainer(ContributionExplainer):
    """A coefficient times the distance from the background's mean, added up by feature.

    Exact for features that are replaced independently, one-hot columns included, since they enter
    the sum apart from each other.
    """

    method: ClassVar[str] = "shap.linear"

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.groups = subject.groups()
        self.mean = np.zeros(0)

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        try:
            if not hasattr(subject, "final"):
                return "The model is not a linear model that can be read"
            slopes(subject)
            subject.groups()
        except LoadError as error:
            return error.message
        return ""

    def fit(self, background: Background) -> None:
        super().fit(background)
        self.mean = self.subject.encoded(background.frame).mean(axis=0)

    def contributions(
        self, subject: Subject, frame: pd.DataFrame, prepared: Any, budget: Budget
    ) -> Found:
        slope, start = slopes(subject)
        distances = subject.encoded_of(prepared) - self.mean
        base = start + float(slope @ self.mean)
        return Found(summed(distances * slope, self.groups), np.full(len(frame), base))


def slopes(subject: Any) -> tuple[np.ndarray, float]:
    """Coefficients and intercept of the score; raises LoadError where it is no weighted sum."""
    final, target = subject.final, subject.target or 0
    name = type(final).__name__
    if not hasattr(final, "coef_") or not hasattr(final, "intercept_"):
        raise LoadError(f"{name} is no linear model")
    if subject.unit in ("probability", "decision"):
        raise LoadError(f"{name} gives no margin that is a weighted sum")
    coefficients = final.coef_.toarray() if hasattr(final.coef_, "toarray") else final.coef_
    table = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
    starts = np.broadcast_to(np.asarray(final.intercept_, dtype=np.float64), len(table))
    if len(subject.classes) == 2:
        sign = -1.0 if target == 0 else 1.0
        return table[0] * sign, float(starts[0]) * sign
    return table[target], float(starts[target])

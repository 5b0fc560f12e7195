"""SHAP values that XGBoost, LightGBM and CatBoost compute themselves, without holding Python up."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.contributions import EXACT, SINGLE, ContributionExplainer, Found
from apps.serving.explainers.subject import Subject


class NativeExplainer(ContributionExplainer):
    """Path-dependent contributions by the library itself, in the margin; needs no background.

    XGBoost adds up in single precision, which the tolerance allows for.
    """

    method: ClassVar[str] = "shap.native"

    def __init__(self, subject: Subject, settings: dict[str, Any], seed: int) -> None:
        super().__init__(subject, settings, seed)
        self.tolerance = SINGLE if getattr(subject, "single", False) else EXACT

    @classmethod
    def suits(cls, subject: Subject, background: Background | None) -> str:
        if hasattr(subject, "native_contributions"):
            return ""
        return "Only XGBoost, LightGBM and CatBoost compute contributions themselves"

    def contributions(
        self, subject: Subject, frame: pd.DataFrame, prepared: Any, budget: Budget
    ) -> Found:
        every = np.asarray(subject.native_contributions(prepared), dtype=np.float64)  # type: ignore[attr-defined]
        own = every[:, _column(subject, every.shape[1])] * _sign(subject, every.shape[1])
        return Found(own[:, :-1], own[:, -1])


def _column(subject: Subject, outputs: int) -> int:
    return subject.target or 0 if outputs > 1 else 0


def _sign(subject: Subject, outputs: int) -> float:
    """The margin of two classes is that of the second."""
    return -1.0 if outputs == 1 and subject.classes and subject.target == 0 else 1.0

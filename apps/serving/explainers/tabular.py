"""What methods share that ask a model about changed raw rows."""

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.coding import Coding

Settings = TypeVar("Settings")
_NO_NUMBER = "The model gave NaN or infinity, which nothing can explain"


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of rows: outputs (n, k), scores (n,) in its unit, answers as served."""

    outputs: np.ndarray
    scores: np.ndarray
    answers: list[Any]


def said(subject: Any, frame: pd.DataFrame) -> Said:
    """All of it, with the rows brought into the model's shape once."""
    prepared = subject.prepared(frame)
    outputs = np.asarray(subject.outputs_of(prepared), dtype=np.float64)
    if not np.isfinite(outputs).all():
        raise ModelFailure(_NO_NUMBER)
    return Said(outputs, subject.scores_of(prepared), subject.answers_of(prepared))


class Tabular:
    """Fits to a background of raw rows and explains row after row; `_explain` gives one answer.

    `settings` may name the `class` that is explained, beside what each method reads of them.
    """

    method = ""

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None:
        self.settings = {key: value for key, value in settings.items() if key != "class"}
        wanted = settings.get("class")
        self.subject = subject if wanted is None else subject.towards(subject.index_of(wanted))
        self.seed = seed
        self.background: Background | None = None

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        if not subject.features:
            return "The model takes tensors, not features that have names"
        return "" if background is not None else "It needs a background: choose reference data"

    def fit(self, background: Background) -> None:
        """Raises BadRequest where the background lacks features, rows or sense."""
        frame = self.subject.table(background.frame)
        if len(frame) < 2:
            raise BadRequest(f"The background has {len(frame)} row; take some hundred")
        self.background = background
        self.coding = Coding(self.subject.features, frame)
        self.codes = self.coding.codes(frame)

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        frame = self.subject.frame(instances)
        budget.spend(len(frame))
        found: dict[int, dict[str, Any]] = {}
        for subject, positions in self.subject.by_target(frame):
            for at in positions.tolist():
                row = frame.iloc[[at]].reset_index(drop=True)
                found[at] = self._explain(subject, row, said(subject, row), budget)
        return [found[at] for at in range(len(frame))]

    def _explain(
        self, subject: Any, row: pd.DataFrame, told: Said, budget: Budget
    ) -> dict[str, Any]:
        raise NotImplementedError


class Asked:
    """A model asked about coded rows, within a budget, refusing what is no number."""

    def __init__(self, subject: Any, coding: Coding, budget: Budget) -> None:
        self.subject, self.coding, self.budget = subject, coding, budget

    def outputs(self, codes: np.ndarray) -> np.ndarray:
        """(n, k) probabilities or values."""
        self.budget.spend(len(codes))
        return finite_outputs(self.subject, self.coding.frame(codes))


def finite_outputs(subject: Any, frame: pd.DataFrame) -> np.ndarray:
    """The outputs of a frame; raises ModelFailure for NaN or infinity."""
    outputs: np.ndarray = np.asarray(subject.outputs(frame), dtype=np.float64)
    if not np.isfinite(outputs).all():
        raise ModelFailure(_NO_NUMBER)
    return outputs


def read_settings(kind: type[Settings], settings: dict[str, Any], method: str) -> Settings:
    """The settings as `kind`, a dataclass; raises LoadError naming one that it does not have."""
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    strange = sorted(set(settings) - set(known))
    if strange:
        raise LoadError(f"{method} has no setting {strange[0]}; it has class, {', '.join(known)}")
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise LoadError(f"The settings of {method} are not valid: {error}") from None


def check_names(names: Any, known: list[str], setting: str) -> list[str]:
    """The names as a list; raises LoadError where one is no feature of the model."""
    listed = [str(name) for name in names or ()]
    for name in listed:
        if name not in known:
            raise LoadError(f'"{setting}" names {name}, which is no feature of the model')
    return listed


def unit_of_outputs(subject: Any) -> str:
    """The unit of `outputs`, which is not that of the scores where a model has a margin."""
    if not subject.classes:
        return str(subject.metadata.get("unit") or "value")
    return "decision" if subject.problem == "classification" else "probability"

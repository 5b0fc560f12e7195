"""What explainers share: features, background, budget, and the one shape of every answer."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from apps.serving.errors import ModelFailure, ServingError

NUMERIC = ("number", "integer", "boolean")


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of the model as people know it.

    `kind` is number, integer, category, boolean, text or any. `lower`, `upper` and, where the
    metadata names none, `categories` are what the background holds. `monotone` is +1 where a value
    may only grow, -1 where it may only shrink.
    """

    name: str
    kind: str
    categories: tuple[Any, ...] = ()
    nullable: bool = False
    lower: float | None = None
    upper: float | None = None
    label: str = ""
    unit: str = ""
    immutable: bool = False
    monotone: int = 0

    @property
    def numeric(self) -> bool:
        """True where values are numbers or truth values."""
        return self.kind in NUMERIC


@dataclass(frozen=True, slots=True)
class Background:
    """Rows that explanations are measured against, raw values in feature order.

    `id` is the SHA-256 of their content. `target` holds what turned out to be true, where known.
    """

    frame: pd.DataFrame
    id: str
    target: np.ndarray | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame, target: np.ndarray | None = None) -> "Background":
        """The background of a frame that `Subject.table` has checked."""
        known = None if target is None else np.asarray(target)
        content = {
            "columns": [str(name) for name in frame.columns],
            "rows": plain_rows(frame),
            "target": None if known is None else known.tolist(),
        }
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=str)
        return cls(frame, hashlib.sha256(text.encode()).hexdigest(), known)


class BudgetExceeded(ServingError):
    """The explanation took longer, or asked the model more often, than it may; nothing is given."""

    status = 504


@dataclass(slots=True)
class Budget:
    """Seconds, and rows asked of the model (0 is no limit), of one request.

    `served` is what the model's own server answered for the request's instances, where known.
    """

    seconds: float
    rows: int = 0
    used_rows: int = 0
    started: float = field(default_factory=time.monotonic)
    served: list[Any] | None = None

    @property
    def used_seconds(self) -> float:
        return time.monotonic() - self.started

    def check(self) -> None:
        """Raises BudgetExceeded where the time or the rows are used up."""
        if self.used_seconds > self.seconds:
            raise BudgetExceeded(
                f"The explanation was not finished within {self.seconds:g} seconds; give it more "
                "time or choose a cheaper method"
            )
        if self.rows and self.used_rows > self.rows:
            raise BudgetExceeded(
                f"The explanation would ask the model for more than {self.rows:,} rows; allow more "
                "or choose a cheaper method"
            )

    def spend(self, rows: int) -> None:
        """Counts rows that the model is about to be asked for."""
        self.used_rows += rows
        self.check()


class Explainer(Protocol):
    """One method for one model. `explain` gives one answer per instance, all or none."""

    method: ClassVar[str]

    @classmethod
    def suits(cls, subject: Any, background: Background | None) -> str:
        """Empty where the method can explain the model, else why not, in a sentence."""
        ...

    def __init__(self, subject: Any, settings: dict[str, Any], seed: int) -> None: ...

    def fit(self, background: Background) -> None:
        """Prepares from the background; raises LoadError or BadRequest in words."""
        ...

    def explain(self, instances: list[Any], budget: Budget) -> list[dict[str, Any]]:
        """One JSON object per instance. Raises BadRequest, ModelFailure or BudgetExceeded."""
        ...


def answer(
    explainer: Any,
    subject: Any,
    *,
    prediction: float,
    output: Any,
    base_value: float | None,
    background: Background | None,
    fidelity: dict[str, Any],
    budget: Budget,
    **content: Any,
) -> dict[str, Any]:
    """One answer in the shape that all methods share; `content` is what the method found.

    `subject` has its target fixed. The same request gives the same answer, but for the times.
    """
    return {
        "method": explainer.method,
        "unit": subject.unit,
        "class": subject.class_label,
        "baseValue": base_value,
        "prediction": finite(prediction),
        "output": output,
        **content,
        "seed": explainer.seed,
        "backgroundId": background.id if background else None,
        "fidelity": fidelity,
        "budget": {
            "seconds": budget.seconds,
            "secondsUsed": round(budget.used_seconds, 4),
            "modelRows": budget.used_rows,
        },
        "milliseconds": round(budget.used_seconds * 1000, 3),
    }


def finite(value: Any) -> float:
    """The number; raises ModelFailure where it is none that JSON can carry."""
    number = float(value)
    if not np.isfinite(number):
        raise ModelFailure("The model gave NaN or infinity, which nothing can explain")
    return number


def plain(value: Any) -> Any:
    """A value of a frame as JSON has it; missing ones are null."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return None if np.isnan(value) else value
    return None if value is None or value is pd.NA or value is pd.NaT else value


def plain_rows(frame: pd.DataFrame) -> list[list[Any]]:
    """The rows of a frame as lists of JSON values."""
    return [[plain(value) for value in row] for row in frame.to_numpy(dtype=object).tolist()]

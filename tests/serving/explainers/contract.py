"""What every explainer keeps on every model that people bring: one row per case and method."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd
import pytest

from apps.serving.explainers import EXPLAINERS, explainer_class
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.subject import Subject
from tests.serving import sklearn_cases, xgboost_cases
from tests.serving.cases import Fitted

# Whose several targets no explanation can speak of at once.
NOT_EXPLAINED = {"probabilities_of_several_targets", "labels_of_several_targets"}
MODULES = {"sklearn": sklearn_cases, "xgboost": xgboost_cases}
TIMES = ("milliseconds", "secondsUsed")


@cache
def fitted_once(case: Callable[[], Fitted]) -> Fitted:
    return case()


def cases() -> list[Any]:
    """Framework and case of every model, for pytest."""
    return [
        pytest.param(framework, case, id=f"{framework}-{case.__name__}")
        for framework, module in MODULES.items()
        for case in module.CASES
        if case.__name__ not in NOT_EXPLAINED
    ]


def example(fitted: Fitted) -> dict[str, Any]:
    return fitted.metadata | {"exampleInput": {"instances": fitted.instances[:1]}}


def background_of(subject: Subject, fitted: Fitted) -> Background:
    table = pd.DataFrame(fitted.instances, columns=subject.names)
    return Background.of(subject.table(table))


def suited(subject: Subject, background: Background) -> list[str]:
    """The methods of SHAP that can explain the model."""
    shap = [name for name in EXPLAINERS if name.startswith("shap.")]
    return [name for name in shap if not explainer_class(name).suits(subject, background)]


def ready(
    method: str, subject: Subject, background: Background, settings: Any = None, seed: int = 7
) -> Any:
    """The fitted explainer of a method."""
    made = explainer_class(method)(subject, settings or {}, seed)
    made.fit(background)
    return made


def explained(explainer: Any, instances: list[Any]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = explainer.explain(instances, Budget(600))
    return answers


def as_bytes(answers: list[dict[str, Any]]) -> bytes:
    """The answers as they are sent, but for what the clock says."""
    kept = [
        {name: value for name, value in each.items() if name != "milliseconds"}
        | {"budget": {k: v for k, v in each["budget"].items() if k != "secondsUsed"}}
        for each in answers
    ]
    return json.dumps(kept, allow_nan=False).encode()


def shares(answers: list[dict[str, Any]]) -> list[list[float]]:
    """The contributions, (instances, features)."""
    return [[each["contribution"] for each in a["contributions"]] for a in answers]

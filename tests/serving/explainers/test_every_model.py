"""Methods that ask the model explain every kind of model, the same way, in one shape."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd
import pytest

from apps.serving.errors import BadRequest
from apps.serving.explainers import explainer_class
from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.subject import Subject
from tests.serving import sklearn_cases, xgboost_cases
from tests.serving.cases import Fitted
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.subjects import steady

SEVERAL_TARGETS = {"probabilities_of_several_targets", "labels_of_several_targets"}
SETTINGS: dict[str, dict[str, Any]] = {
    "lime": {"samples": 100},
    "anchors": {},
    "counterfactuals": {"desired": {"minimum": 1}},
    "partial_dependence": {"points": 3, "rows": 5},
}


@cache
def fitted_once(case: Callable[[], Fitted]) -> Fitted:
    return case()


def cases(framework: str, module: Any) -> list[Any]:
    return [
        pytest.param(framework, case, id=f"{framework}-{case.__name__}")
        for case in module.CASES
        if case.__name__ not in SEVERAL_TARGETS
    ]


@pytest.fixture
def asked(framework: str, case: Callable[[], Fitted], subject: Subjects) -> tuple[Subject, Fitted]:
    fitted = fitted_once(case)
    metadata = fitted.metadata | {"exampleInput": {"instances": fitted.instances[:1]}}
    return subject(framework, fitted.model, metadata, pd.DataFrame(fitted.instances)), fitted


def _gives_one_class(subject: Subject, rows: pd.DataFrame) -> bool:
    return len(set(subject.outputs(rows).argmax(axis=1).tolist())) == 1


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize(
    ("framework", "case"), cases("sklearn", sklearn_cases) + cases("xgboost", xgboost_cases)
)
def test_it_is_explained_in_the_one_shape(method: str, asked: tuple[Subject, Fitted]) -> None:
    subject, fitted = asked
    rows = subject.frame(fitted.instances * 5)
    settings = SETTINGS[method] if not subject.classes or method != "counterfactuals" else {}
    explainer = explainer_class(method)(subject, settings, 3)
    if method == "counterfactuals" and subject.classes and _gives_one_class(subject, rows):
        with pytest.raises(BadRequest, match="to every row of the background"):
            explainer.fit(Background.of(rows))
        return
    explainer.fit(Background.of(rows))
    first, second = (explainer.explain(fitted.instances[:2], Budget(120)) for _ in range(2))
    assert json.dumps(steady(first), allow_nan=False) == json.dumps(steady(second))
    for answer, output in zip(first, subject.model.predict(fitted.instances[:2]), strict=True):
        assert answer["method"] == method
        assert answer["output"] == pytest.approx(output)
        assert answer["class"] in (None, *subject.classes)
        assert answer["backgroundId"] == Background.of(rows).id

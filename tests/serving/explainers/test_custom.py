"""A module of the owner's own explains; what it returns is checked before anybody sees it."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.base import BudgetExceeded
from apps.serving.explainers.custom import Custom
from apps.serving.explainers.subject import subject_of
from tests.serving.explainers.subjects import (
    background,
    budget,
    house_prices,
    instances,
    sklearn_subject,
    steady,
)

OCCLUSION = """
    def explain(instances, predict):
        made = []
        for instance in instances:
            (whole,) = predict([instance])
            without = predict([instance | {name: 0} for name in instance])
            made.append({
                "baseValue": 0.0,
                "contributions": [
                    {"feature": name, "value": instance[name], "contribution": whole - other}
                    for name, other in zip(reversed(instance), reversed(without))
                ],
                "fidelity": {"occluded": len(without)},
            })
        return made
"""

Explainers = Callable[..., Custom]


@pytest.fixture
def custom(tmp_path: Path) -> Explainers:
    """An explainer of a module with this text."""

    def made(text: str) -> Custom:
        path = tmp_path / "explainer.py"
        path.write_text(dedent(text))
        subject, reference, _ = house_prices()
        explainer = Custom(subject, {"module": str(path)}, 5)
        explainer.fit(background(subject, reference))
        return explainer

    return made


def rows(count: int = 2) -> list[dict[str, Any]]:
    return instances(house_prices()[2])[:count]


def test_it_explains_with_the_served_model(custom: Explainers) -> None:
    subject = house_prices()[0]
    explainer = custom(OCCLUSION)
    answers = explainer.explain(rows(), budget())
    for row, answer in zip(rows(), answers, strict=True):
        whole, *without = subject.model.predict([row, *(row | {name: 0} for name in row)])
        assert [each["feature"] for each in answer["contributions"]] == subject.names
        found = [each["contribution"] for each in answer["contributions"]]
        assert found == pytest.approx([whole - other for other in without])
        assert answer["output"] == whole
        assert answer["method"] == "custom"
        assert answer["fidelity"] == {"occluded": 3}
        assert answer["baseValue"] == 0.0
    assert steady(answers) == steady(explainer.explain(rows(), budget()))
    assert answers[0]["budget"]["modelRows"] == 10


def test_a_module_that_changes_its_instances_changes_nothing(custom: Explainers) -> None:
    text = """
        def explain(instances, predict):
            for instance in instances:
                instance.clear()
            return [{"rule": {"found": False, "conditions": []}} for _ in instances]
    """
    (answer,) = custom(text).explain(rows(1), budget())
    assert (answer["rule"]["found"], answer["rule"]["conditions"]) == (False, [])
    assert answer["output"] == house_prices()[0].model.predict(rows(1))[0]


WITHOUT_NAMES = """
    def explain(instances, predict):
        made = []
        for given in instances:
            (whole,) = predict([given])
            without = predict([[[0.0] * len(row) for row in given]])
            made.append(RETURNED)
        return made
"""


class Corner:
    """A model of pictures, which answers with their upper left corner."""

    advice, native = "", None

    def predict(self, instances: list[Any]) -> list[Any]:
        return [float(picture[0][0]) for picture in instances]

    def describe(self) -> dict[str, Any]:
        return {"framework": "stone"}


class Doubled(TransformerMixin, BaseEstimator):
    """A step of somebody's own, which does not say how many columns it was fitted on."""

    def fit(self, X: Any, y: Any = None) -> "Doubled":
        return self

    def transform(self, X: Any) -> Any:
        return 2 * X


def nameless(folder: Path, returned: str) -> Custom:
    path = folder / "explainer.py"
    path.write_text(dedent(WITHOUT_NAMES).replace("RETURNED", returned))
    made = Custom(subject_of(Corner(), {"problemType": "regression"}), {"module": str(path)}, 5)
    made.fit(None)
    return made


def test_a_model_without_names_is_asked_with_rows_as_they_are(tmp_path: Path) -> None:
    named = """{"contributions": [
        {"feature": f"row {at}", "contribution": whole - without[0]} for at in range(len(given))
    ]}"""
    (answer,) = nameless(tmp_path, named).explain([[[3.0, 1.0], [0.0, 2.0]]], budget())
    assert (answer["prediction"], answer["output"], answer["unit"]) == (3.0, 3.0, "value")
    assert answer["contributions"] == [
        {"feature": "row 0", "contribution": 3.0},
        {"feature": "row 1", "contribution": 3.0},
    ]


def test_a_model_without_names_may_be_explained_by_a_picture(tmp_path: Path) -> None:
    picture = '{"picture": {"shape": [1, 2], "values": given}}'
    (answer,) = nameless(tmp_path, picture).explain([[[3.0, 1.0]]], budget())
    assert answer["picture"]["values"] == [[3.0, 1.0]]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ('{"contributions": [{"feature": "a", "contribution": 1.0}] * 2}', "wrong: one twice"),
        ('{"contributions": [{"feature": 1, "contribution": 1.0}]}', "by a int, not by a text"),
        ('{"reasons": [{"code": "A", "text": "b", "features": [[]]}]}', "by a list of 0"),
    ],
)
def test_places_without_names_are_named_once_and_by_text(
    tmp_path: Path, returned: str, words: str
) -> None:
    with pytest.raises(ModelFailure, match=words):
        nameless(tmp_path, returned).explain([[[3.0, 1.0]]], budget())


def test_a_pipeline_without_names_answers_as_it_is_served(tmp_path: Path) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 0.5], [0.2, 4.0], [2.0, 2.5]])
    model = make_pipeline(Doubled(), LogisticRegression()).fit(rows, [0, 1, 0, 1])
    subject = sklearn_subject(model, {})
    assert subject.features == ()
    path = tmp_path / "explainer.py"
    path.write_text("def explain(instances, predict):\n    return [{'reasons': []}]\n")
    explainer = Custom(subject, {"module": str(path)}, 5)
    (answer,) = explainer.explain([[1.0, 2.0]], budget())
    assert answer["output"] == subject.model.predict([[1.0, 2.0]])[0]
    assert answer["unit"] == "log-odds"
    assert expit(answer["prediction"]) == pytest.approx(answer["output"][1])


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("None", "must return a list of 1, one for each instance, not a NoneType"),
        ("[]", "not a list of 0"),
        ("[5]", "must be an object, not a int"),
        ("[{}]", "exactly one of contributions"),
        ("[{'rule': {}, 'reasons': []}]", "exactly one of"),
        ("[{'reasons': [], 'secret': 1}]", "holds secret, which no explanation has"),
        ("[{'contributions': []}]", "one contribution of each feature; wrong: distance, noise"),
        ("[{'contributions': [{'feature': 'size'}]}]", "needs contribution, feature"),
        (
            "[{'contributions': [{'feature': n, 'contribution': float('nan')} for n in NAMES]}]",
            "holds NaN or infinity",
        ),
        (
            "[{'contributions': [{'feature': n, 'contribution': '1'} for n in NAMES]}]",
            "the contribution of size must be a number",
        ),
        (
            "[{'contributions': [{'feature': n, 'contribution': object()} for n in NAMES]}]",
            "which is no JSON",
        ),
        ("[{'rule': {'found': 1}}]", "needs a rule with found"),
        (
            "[{'rule': {'found': True, 'conditions': "
            "[{'feature': 'sise', 'op': '>', 'value': 1}]}}]",
            "names sise, which is no feature",
        ),
        ("[{'counterfactuals': [{'changes': 3}]}]", "changes that are no list"),
        ("[{'curves': [{'features': [], 'grid': [], 'average': []}]}]", "one or two features"),
        ("[{'picture': {'shape': [2]}}]", "a picture with shape and values"),
        (
            "[{'curves': [{'features': ['size'], 'grid': [1, 2], 'average': [1]}]}]",
            "a curve of other than 2 values",
        ),
        (
            "[{'rule': {'found': True, 'conditions': [], 'precision': 'high'}}]",
            "the rule's precision must be a number",
        ),
        (
            "[{'reasons': [{'code': 'A', 'text': 'b', 'features': [], 'share': 'x'}]}]",
            "the share of a reason must be a number",
        ),
        ("[{'reasons': [], 'baseValue': 'x'}]", "a baseValue that is no number"),
        ("[{'reasons': [], 'fidelity': 3}]", "a fidelity that is no object"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_does_not_fit_is_refused(custom: Explainers, returned: str, words: str) -> None:
    text = f"""
        NAMES = ["size", "distance", "noise"]
        def explain(instances, predict):
            return {returned}
    """
    with pytest.raises(ModelFailure, match=words):
        custom(text).explain(rows(1), budget())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "has no function explain"),
        ("import no_such_module", "imports no_such_module.*requirements.txt of the model version"),
        ("def explain(:", "SyntaxError"),
        ("raise SystemExit(3)", r"ends the process on import \(exit 3\)"),
    ],
)
def test_a_module_that_does_not_load_says_why(custom: Explainers, text: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        custom(text)


def test_contributions_get_the_values_of_the_case(custom: Explainers) -> None:
    text = """
        def explain(instances, predict):
            parts = [{"feature": name, "contribution": 1} for name in instances[0]]
            return [{"contributions": parts} for _ in instances]
    """
    (row,) = rows(1)
    (answer,) = custom(text).explain([row], budget())
    assert {p["feature"]: p["value"] for p in answer["contributions"]} == row


def test_a_zip_may_hold_what_the_module_imports(tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("explainer.py", "from inside import explain\n")
        archive.writestr("inside.py", "def explain(i, p): return [{'reasons': []} for _ in i]\n")
    explainer = Custom(house_prices()[0], {"module": str(path)}, 5)
    (answer,) = explainer.explain(rows(1), budget())
    assert answer["reasons"] == []


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(LoadError, match="needs a Python module"):
        Custom(house_prices()[0], {"module": "/nowhere.py"}, 1)


def test_a_bad_question_to_the_model_and_a_spent_budget_are_said_as_such(
    custom: Explainers,
) -> None:
    ask = "def explain(instances, predict):\n    return predict([{'size': 1}])\n"
    with pytest.raises(BadRequest, match="distance is missing"):
        custom(ask).explain(rows(1), budget())
    with pytest.raises(BudgetExceeded):
        custom(OCCLUSION).explain(rows(), budget(rows=2))

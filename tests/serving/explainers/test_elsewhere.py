"""Explanations of frameworks that have environments of their own, made in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.serving.errors import LoadError
from tests.serving import contract
from tests.serving.contract import Elsewhere, Served

pytestmark = pytest.mark.slow
BOOSTERS = {"lightgbm": "lightgbm-text", "catboost": "catboost-cbm"}
NETWORKS = {"pytorch": "torchscript", "tensorflow": "keras"}
PICTURES = ("digits", "digits_as_classes")
COLUMNS = ("named_columns", "one_number_as_probability")


def framework(name: str) -> Elsewhere:
    found = next(each for each in contract.FRAMEWORKS if each.name == name)
    assert isinstance(found, Elsewhere)
    return found


def explained(served: Served, method: str, rows: Any, **settings: Any) -> Any:
    model: Any = framework(served.spec.framework).load(served.spec)
    return model.explain(method, served.spec.metadata, rows, **settings)


def total(answer: Any) -> float:
    return float(answer["baseValue"] + sum(c["contribution"] for c in answer["contributions"]))


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name in BOOSTERS for case in framework(name).cases]
)
@pytest.mark.parametrize("method", ["shap.native", "shap.permutation"])
def test_boosters_of_every_kind_add_up(name: str, case: str, method: str, tmp_path: Path) -> None:
    served = contract.written(framework(name), BOOSTERS[name], case, tmp_path)
    rows = served.fitted.instances[:4]
    answers = explained(served, method, rows)
    model: Any = framework(name).load(served.spec)
    assert [answer["output"] for answer in answers] == model.predict(rows)
    for answer in answers:
        assert total(answer) == pytest.approx(answer["prediction"], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", BOOSTERS)
def test_native_contributions_of_two_classes_are_log_odds(name: str, tmp_path: Path) -> None:
    served = contract.written(framework(name), BOOSTERS[name], "two_classes", tmp_path)
    for answer in explained(served, "shap.native", served.fitted.instances[:4]):
        assert answer["unit"] == "log-odds"
        odds = np.log(answer["output"][1] / answer["output"][0])
        assert odds == pytest.approx(answer["prediction"], abs=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", PICTURES)
def test_pictures_are_explained_by_pictures(name: str, case: str, tmp_path: Path) -> None:
    served = contract.written(framework(name), NETWORKS[name], case, tmp_path)
    rows = served.fitted.instances[:2]
    for method in ("integrated_gradients", "saliency", "occlusion"):
        answers = explained(served, method, rows)
        assert answers == _timeless(answers, explained(served, method, rows)), method
        for answer in answers:
            assert np.abs(answer["picture"]["values"]).max() > 0, method


def _timeless(answers: Any, again: Any) -> Any:
    """The second answers with the times of the first."""
    for first, second in zip(answers, again, strict=True):
        second["milliseconds"] = first["milliseconds"]
        second["budget"]["secondsUsed"] = first["budget"]["secondsUsed"]
    return again


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", PICTURES)
def test_integrated_gradients_add_up(name: str, case: str, tmp_path: Path) -> None:
    served = contract.written(framework(name), NETWORKS[name], case, tmp_path)
    for answer in explained(served, "integrated_gradients", served.fitted.instances[:3]):
        found = answer["baseValue"] + np.sum(answer["picture"]["values"])
        assert found == pytest.approx(answer["prediction"], rel=0.005, abs=0.005)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", COLUMNS)
def test_columns_are_explained_by_name(name: str, case: str, tmp_path: Path) -> None:
    served = contract.written(framework(name), NETWORKS[name], case, tmp_path)
    for answer in explained(served, "integrated_gradients", served.fitted.instances[:3]):
        if "contributions" in answer:
            assert total(answer) == pytest.approx(answer["prediction"], rel=0.005, abs=0.005)


def test_tokens_have_no_gradients(tmp_path: Path) -> None:
    served = contract.written(framework("pytorch"), "torchscript", "sequences_of_tokens", tmp_path)
    with pytest.raises(LoadError, match="one tensor of fractions"):
        explained(served, "integrated_gradients", served.fitted.instances[:1])

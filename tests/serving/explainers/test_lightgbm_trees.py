"""Interventional values of LightGBM against the definition, in an environment that has shap."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.serving.errors import LoadError
from apps.serving.spec import ServerSpec
from tests.serving.cases import Fitted
from tests.serving.elsewhere import Model, Worker
from tests.serving.environments import explaining
from tests.serving.explainers.oracle import shapley

pytestmark = pytest.mark.slow
BRUTE = 1e-6
READ = (
    "numbers",
    "gaps",
    "gaps_that_training_had_not",
    "gaps_that_count_as_zero",
    "letters",
    "codes",
    "three_classes",
    "values",
    "averaged",
    "dropped",
)


@pytest.fixture(scope="module")
def there() -> Worker:
    return Worker("lightgbm_trees", explaining("lightgbm", "shap==0.51.*", "scikit-learn"))


def loaded(there: Worker, case: str, folder: Path) -> tuple[Fitted, Model]:
    path = folder / "model.txt"
    fitted = there.written("lightgbm-text", case, path)
    return fitted, there.load(
        ServerSpec("m", "lightgbm", "lightgbm-text", str(path), fitted.metadata)
    )


def score(model: Model) -> Any:
    """The raw score by what the model answers: log-odds, or the value."""

    def of(frame: pd.DataFrame) -> np.ndarray:
        rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
        given = np.array(model.predict(rows))
        if given.ndim == 1:
            return given
        return np.asarray(np.log(given[:, 1] / given[:, 0]))

    return of


@pytest.mark.parametrize("case", [name for name in READ if name != "three_classes"])
def test_values_are_those_of_the_definition(there: Worker, case: str, tmp_path: Path) -> None:
    fitted, model = loaded(there, case, tmp_path)
    answers = model.explain("shap.interventional", fitted.metadata, fitted.instances)
    frame = pd.DataFrame(fitted.instances).astype(object)
    for at, answer in enumerate(answers):
        if at % 4 == 0:
            expected = shapley(score(model), frame.iloc[[at]].reset_index(drop=True), frame)
            found = [each["contribution"] for each in answer["contributions"]]
            np.testing.assert_allclose(found, expected, rtol=0, atol=BRUTE)


@pytest.mark.parametrize("case", READ)
def test_values_agree_with_asking_the_model_about_every_coalition(
    there: Worker, case: str, tmp_path: Path
) -> None:
    fitted, model = loaded(there, case, tmp_path)
    answers = model.explain("shap.interventional", fitted.metadata, fitted.instances)
    exact = model.explain("shap.exact", fitted.metadata, fitted.instances)
    assert len(answers) == len(fitted.instances)
    for ours, theirs in zip(answers, exact, strict=True):
        assert ours["class"] == theirs["class"]
        np.testing.assert_allclose(
            [each["contribution"] for each in ours["contributions"]],
            [each["contribution"] for each in theirs["contributions"]],
            rtol=0,
            atol=BRUTE,
        )


def test_a_forest_is_explained_in_the_log_odds_of_what_it_answers(
    there: Worker, tmp_path: Path
) -> None:
    """The library's own raw scores of it are sums over the trees."""
    fitted, model = loaded(there, "averaged", tmp_path)
    for method in ("shap.interventional", "shap.native"):
        for answer in model.explain(method, fitted.metadata, fitted.instances):
            odds = np.log(answer["output"][1] / answer["output"][0])
            total = answer["baseValue"] + sum(c["contribution"] for c in answer["contributions"])
            assert answer["unit"] == "log-odds"
            assert total == pytest.approx(odds, abs=BRUTE)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("zeros_taken_for_gaps", "take zero for missing"),
        ("linear_leaves", "linear models in their leaves"),
    ],
)
def test_trees_that_cannot_be_read_exactly_are_refused_in_words(
    there: Worker, case: str, why: str, tmp_path: Path
) -> None:
    fitted, model = loaded(there, case, tmp_path)
    with pytest.raises(LoadError, match=why):
        model.explain("shap.interventional", fitted.metadata, fitted.instances)

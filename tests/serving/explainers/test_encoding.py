"""The short way through a pipeline: the pipeline's own numbers, or none."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from apps.serving.explainers.base import Background, Budget
from apps.serving.explainers.encoding import Encoding
from tests.serving.cases import FEATURES, outcome, table
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.contract import as_bytes, ready

WORDS, NUMBERS = ["city"], ["income", "age"]
ONE_HOT = {"handle_unknown": "ignore", "sparse_output": False}


def columns(words: Any, numbers: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("w", words, WORDS), ("n", numbers, NUMBERS)], **options)


def filled(strategy: str, then: Any) -> Pipeline:
    return make_pipeline(SimpleImputer(strategy=strategy), then)


PREPARED = {
    "dense": lambda: columns(OneHotEncoder(**ONE_HOT), StandardScaler()),
    "with the rest": lambda: columns(
        OneHotEncoder(**ONE_HOT), StandardScaler(), remainder="passthrough"
    ),
    "sparse": lambda: columns(OneHotEncoder(), StandardScaler(), sparse_threshold=1.0),
    "filled": lambda: columns(
        filled("most_frequent", OneHotEncoder(**ONE_HOT)), filled("median", StandardScaler())
    ),
    "nothing but a mean": lambda: columns(OneHotEncoder(**ONE_HOT), StandardScaler(with_std=False)),
}


def made(subject: Subjects, prepare: Any) -> tuple[Any, pd.DataFrame]:
    frame = table(300).astype({"city": object})
    model = make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(frame, outcome(frame))
    found = subject("sklearn", model, {"features": FEATURES}, frame)
    return found, found.table(frame)


def told(found: Any, frame: pd.DataFrame) -> list[Any]:
    """What the model's server answers, row by row."""
    return [found.model.predict([row])[0] for row in found.instances(frame)]


@pytest.mark.parametrize("name", PREPARED)
def test_gives_the_pipelines_own_numbers(name: str, subject: Subjects) -> None:
    found, frame = made(subject, PREPARED[name]())
    found.learn(frame.head(100))
    assert found._encoding is not None
    for rows in (frame, frame.tail(1)):
        ours, real = found._encoding.of(rows), found.prepared(rows)
        assert type(ours) is type(real)
        if name == "sparse":
            ours, real = ours.toarray(), real.toarray()
        assert np.array_equal(ours, real)


@pytest.mark.parametrize("name", PREPARED)
def test_an_explanation_is_the_same_by_either_way(name: str, subject: Subjects) -> None:
    found, frame = made(subject, PREPARED[name]())
    explainer = ready("shap.linear", found, Background.of(frame.head(100)))
    rows = frame.tail(20).reset_index(drop=True)
    instances, served = found.instances(rows), told(found, rows)
    short = explainer.explain(instances, Budget(60, served=served))
    assert as_bytes(short) == as_bytes(explainer.explain(instances, Budget(60)))


@pytest.mark.parametrize(("feature", "value"), [("city", "Rome"), ("income", None), ("city", None)])
def test_what_training_had_not_is_left_to_the_pipeline(
    feature: str, value: Any, subject: Subjects
) -> None:
    found, frame = made(subject, PREPARED["dense"]())
    found.learn(frame)
    row = frame.head(1).astype(object)
    row[feature] = pd.Series([value], dtype=object)
    assert found._encoding.of(found.cast(row)) is None


def test_a_step_that_is_not_known_has_no_short_way(subject: Subjects) -> None:
    found, frame = made(subject, columns(OneHotEncoder(**ONE_HOT), MinMaxScaler()))
    found.learn(frame)
    assert found._encoding is None


def test_numbers_that_differ_from_the_pipelines_are_found_out(subject: Subjects) -> None:
    found, frame = made(subject, PREPARED["dense"]())
    encoding = Encoding(found.steps, found.names)
    real = found.prepared(frame)
    assert encoding.proven(frame, real)
    real[17, 4] = np.nextafter(real[17, 4], 9)
    assert not encoding.proven(frame, real)


def test_the_whole_model_is_asked_where_the_short_way_leads_elsewhere(subject: Subjects) -> None:
    """The check of the sum is one against what the model has answered, not against itself."""
    found, frame = made(subject, PREPARED["dense"]())
    explainer = ready("shap.linear", found, Background.of(frame))
    row = frame.tail(1).reset_index(drop=True)
    [real] = explainer.explain(found.instances(row), Budget(60))
    own = explainer.subject._encoding.of
    explainer.subject._encoding.of = lambda rows: own(rows) + 0.001
    for served in (told(found, row), [[0.5, 0.5]], [[1.0]], ["good"]):
        [given] = explainer.explain(found.instances(row), Budget(60, served=served))
        assert as_bytes([given]) == as_bytes([real])

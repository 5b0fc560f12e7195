"""The model under explanation answers what the model server answers, in raw features."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.serving.errors import BadRequest, LoadError, ModelFailure
from apps.serving.explainers.base import Background, Budget, BudgetExceeded
from apps.serving.explainers.subject import Subject, subject_of
from tests.serving import sklearn_cases, xgboost_cases
from tests.serving.cases import FEATURES, Fitted, nullable, outcome, records, table, thirds
from tests.serving.explainers.conftest import Subjects

SEVERAL_TARGETS = {"probabilities_of_several_targets", "labels_of_several_targets"}
NUMBERS = ["income", "age", "owner"]
NUMERIC = [feature for feature in FEATURES if feature["name"] in NUMBERS]


@cache
def fitted_once(case: Callable[[], Fitted]) -> Fitted:
    return case()


def cases(framework: str, module: Any) -> list[Any]:
    return [
        pytest.param(framework, case, id=f"{framework}-{case.__name__}")
        for case in module.CASES
        if case.__name__ not in SEVERAL_TARGETS
    ]


every_model = pytest.mark.parametrize(
    ("framework", "case"), cases("sklearn", sklearn_cases) + cases("xgboost", xgboost_cases)
)


@pytest.fixture
def asked(framework: str, case: Callable[[], Fitted], subject: Subjects) -> tuple[Subject, Fitted]:
    fitted = fitted_once(case)
    sample = pd.DataFrame(fitted.instances)
    metadata = fitted.metadata | {"exampleInput": {"instances": fitted.instances[:1]}}
    return subject(framework, fitted.model, metadata, sample), fitted


@every_model
def test_it_answers_what_the_model_server_answers(asked: tuple[Subject, Fitted]) -> None:
    subject, fitted = asked
    served = subject.model.predict(fitted.instances)
    assert subject.answers(subject.frame(fitted.instances)) == served


@every_model
def test_a_table_gives_the_same_as_instances(asked: tuple[Subject, Fitted]) -> None:
    subject, fitted = asked
    table = subject.table(pd.DataFrame(fitted.instances, columns=subject.names))
    assert subject.answers(table) == subject.model.predict(fitted.instances)
    assert subject.model.predict(subject.instances(table)) == subject.answers(table)


@every_model
def test_scores_are_the_outputs_in_their_unit(asked: tuple[Subject, Fitted]) -> None:
    subject, fitted = asked
    frame = subject.frame(fitted.instances)
    for part, rows in subject.by_target(frame):
        scores, outputs = part.scores(frame)[rows], part.outputs(frame)[rows, part.target]
        if part.unit == "log-odds":
            np.testing.assert_allclose(expit(scores), outputs, atol=1e-6)
        elif part.unit == "logit":
            raw = part.raw_of(part.prepared(frame))[rows]
            np.testing.assert_allclose(softmax(raw, axis=1)[:, part.target], outputs, atol=1e-6)
        elif part.unit.startswith("log of"):
            np.testing.assert_allclose(np.exp(scores), outputs, rtol=1e-6)
        elif part.unit != "margin":
            np.testing.assert_allclose(scores, outputs)


@every_model
def test_every_encoded_column_belongs_to_one_feature(asked: tuple[Subject, Fitted]) -> None:
    subject, fitted = asked
    frame = subject.frame(fitted.instances)
    groups = subject.groups()
    columns = sorted(column for group in groups for column in group)
    assert len(groups) == len(subject.features)
    assert columns == list(range(subject.encoded(frame).shape[1]))


@every_model
def test_only_a_features_own_columns_follow_it(asked: tuple[Subject, Fitted]) -> None:
    subject, fitted = asked
    frame = subject.frame(fitted.instances)
    before = subject.encoded(frame)
    for at, group in enumerate(subject.groups()):
        turned = frame.copy()
        turned[subject.names[at]] = frame[subject.names[at]].to_numpy()[::-1]
        changed = ~np.isclose(subject.encoded(turned), before, equal_nan=True).all(axis=0)
        assert set(np.flatnonzero(changed)) <= set(group)


def test_two_classes_are_explained_towards_the_second(subject: Subjects) -> None:
    model = GradientBoostingClassifier(n_estimators=3).fit(table()[NUMBERS], outcome(table()))
    names = {"good": 0, "bad": 1}
    found = subject("sklearn", model, {"features": NUMERIC, "predictionClasses": names})
    frame = found.frame(records(table()[NUMBERS].head(3)))
    assert (found.classes, found.class_label, found.unit) == (("good", "bad"), "bad", "log-odds")
    np.testing.assert_array_equal(found.towards(0).scores(frame), -found.scores(frame))
    assert found.index_of("good") == 0
    with pytest.raises(BadRequest, match="no class ugly; it has good, bad"):
        found.index_of("ugly")


def test_of_three_classes_each_row_has_its_predicted_one(subject: Subjects) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(table()[NUMBERS], thirds(table()))
    found = subject("sklearn", model, {"features": NUMERIC})
    frame = found.frame(records(table()[NUMBERS].head(30)))
    assert found.unit == "probability"
    for part, rows in found.by_target(frame):
        assert (part.outputs(frame)[rows].argmax(axis=1) == part.target).all()
    np.testing.assert_allclose(found.scores(frame), found.outputs(frame).max(axis=1))


def test_a_step_that_mixes_features_is_named(subject: Subjects) -> None:
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression())
    found = subject("sklearn", model.fit(table()[NUMBERS], outcome(table())), {"features": NUMERIC})
    with pytest.raises(LoadError, match="PCA .* mixes features"):
        found.groups()


def test_features_know_what_the_sample_holds(subject: Subjects) -> None:
    model = LogisticRegression(max_iter=5000, tol=1).fit(table()[NUMBERS], outcome(table()))
    found = subject("sklearn", model, {}, table()[NUMBERS])
    assert [f.kind for f in found.features] == ["number", "integer", "boolean"]
    assert (found.features[1].lower, found.features[1].upper) == (
        table()["age"].min(),
        table()["age"].max(),
    )


def test_an_instance_that_does_not_fit_names_the_feature(subject: Subjects) -> None:
    model = LogisticRegression(max_iter=5000, tol=1).fit(table()[NUMBERS], outcome(table()))
    found = subject("sklearn", model, {"features": NUMERIC})
    with pytest.raises(BadRequest, match='age must be a whole number, not the text "old"'):
        found.frame([{"income": 1.0, "age": "old", "owner": True}])


def test_what_the_metadata_does_not_say_is_held_to_the_sample(subject: Subjects) -> None:
    model = LogisticRegression(max_iter=5000, tol=1).fit(table()[NUMBERS], outcome(table()))
    untyped = {"features": [{"name": name} for name in NUMBERS]}
    found = subject("sklearn", model, untyped, table()[NUMBERS])
    with pytest.raises(BadRequest, match='income must be a number, not the text "much"'):
        found.frame([["much", 30, True]])
    assert found.frame([[1.0, 30.5, True]])["age"].tolist() == [30.5]


def background_subject(subject: Subjects) -> Subject:
    model = LogisticRegression(max_iter=5000, tol=1).fit(table()[NUMBERS], outcome(table()))
    return subject("sklearn", model, {"features": nullable(NUMERIC)})


def test_a_table_without_a_feature_is_refused(subject: Subjects) -> None:
    with pytest.raises(BadRequest, match="lacks 1 of the model's features: age"):
        background_subject(subject).table(table()[["income", "owner"]])


def test_a_table_with_text_among_numbers_is_refused(subject: Subjects) -> None:
    wrong = table()[NUMBERS].astype({"income": object})
    wrong.loc[4, "income"] = "much"
    with pytest.raises(BadRequest, match='the text "much" in row 4 of income'):
        background_subject(subject).table(wrong)


def test_gaps_in_a_table_are_missing_values(subject: Subjects) -> None:
    gaps = table()[NUMBERS].astype(object)
    gaps.loc[2] = [None, None, None]
    found = background_subject(subject).table(gaps)
    assert found.iloc[2].isna().all()
    assert [str(kind) for kind in found.dtypes] == ["float64"] * 3


def test_a_background_is_known_by_its_content() -> None:
    same, other = table()[NUMBERS], table()[NUMBERS].assign(age=1)
    assert Background.of(same).id == Background.of(same.copy()).id
    assert Background.of(same).id != Background.of(other).id
    assert Background.of(same).id != Background.of(same, outcome(table())).id


class Labels:
    """A model server's model of another kind: answers labels, knows nothing of itself."""

    advice = ""
    native = None

    def predict(self, instances: list[Any]) -> list[Any]:
        return ["yes" if row[0] > 0 else "no" for row in instances]

    def describe(self) -> dict[str, Any]:
        return {"framework": "stone"}


class Chances(Labels):
    def predict(self, instances: list[Any]) -> list[Any]:
        return [[1 - row[0], row[0]] for row in instances]


def black_box(model: Any, **metadata: Any) -> Subject:
    example = {"exampleInput": {"instances": [[0.25]]}}
    return subject_of(model, {"features": [{"name": "x", "type": "number"}]} | example | metadata)


def test_a_black_box_of_labels_decides_zero_or_one() -> None:
    found = black_box(
        Labels(), problemType="classification", predictionClasses={"no": "no", "yes": "yes"}
    )
    assert (found.unit, found.class_label) == ("decision", "yes")
    np.testing.assert_array_equal(found.scores(found.frame([[0.25], [-1.0]])), [1.0, 0.0])


def test_labels_without_classes_are_refused_with_what_to_add() -> None:
    with pytest.raises(LoadError, match="as predictionClasses$"):
        black_box(Labels(), problemType="classification")


def test_a_black_box_of_probabilities_is_known_by_its_example() -> None:
    found = black_box(Chances())
    assert (found.unit, found.classes) == ("probability", (0, 1))
    np.testing.assert_allclose(found.scores(found.frame([[0.25]])), [0.25])


def test_classes_that_are_numbers_are_the_places_of_the_outputs() -> None:
    found = black_box(Chances(), predictionClasses={"bad": 1, "good": 0})
    assert (found.classes, found.class_label) == (("good", "bad"), "bad")


class Broken(Labels):
    def predict(self, instances: list[Any]) -> list[Any]:
        return [float("nan") for _ in instances]


def test_an_output_that_is_no_number_is_a_failure_of_the_model() -> None:
    found = black_box(Broken())
    with pytest.raises(ModelFailure, match="NaN or infinity"):
        found.scores(found.frame([[0.25]]))


def test_a_budget_ends_the_work() -> None:
    with pytest.raises(BudgetExceeded, match="more than 10 rows") as refused:
        Budget(60, rows=10).spend(11)
    assert refused.value.status == 504
    with pytest.raises(BudgetExceeded, match="within 0 seconds"):
        Budget(0).check()

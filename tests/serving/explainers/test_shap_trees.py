"""SHAP of trees against the definition, and where the library alone is wrong."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, make_regression
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from apps.serving.errors import LoadError
from apps.serving.explainers.base import Background
from apps.serving.explainers.forest import Forest, Tree, forest_of
from apps.serving.explainers.ranks import Ranks
from apps.serving.explainers.shap_trees import shap_library
from apps.serving.explainers.subject import Subject
from tests.serving.cases import outcome, table, thirds
from tests.serving.explainers.conftest import Subjects
from tests.serving.explainers.contract import explained, ready, shares
from tests.serving.explainers.oracle import shapley

shap = shap_library()
BRUTE = 1e-6
NAMES = ["a", "b", "c", "d", "e", "f"]


def numbers(rows: int = 300) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(3).normal(size=(rows, 6)), columns=NAMES)


def with_all_kinds(rows: int = 300) -> pd.DataFrame:
    """Six features: numbers with gaps, categories with gaps, whole numbers."""
    random = np.random.default_rng(4)
    frame = numbers(rows)
    frame["a"] = frame["a"].mask(random.random(rows) < 0.3)
    letters = np.array(list("pqrstuvw"), dtype=object)
    frame["b"] = pd.Series(letters[random.integers(0, 8, rows)], dtype=object)
    frame["b"] = frame["b"].mask(random.random(rows) < 0.2)
    frame["c"] = random.integers(0, 9, rows)
    frame["d"] = pd.Series(np.array(["x", "y"], dtype=object)[random.integers(0, 2, rows)])
    frame["d"] = frame["d"].astype(object)
    return frame


def target(frame: pd.DataFrame) -> np.ndarray:
    codes = np.array([{"p": 2.0, "s": -2.0, "u": 1.5}.get(each, 0.0) for each in frame["b"]])
    score = frame["a"].fillna(1.2) * frame["e"] + codes * frame["f"] + frame["c"] / 9
    return (score > score.median()).to_numpy().astype(int)


def signal(frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(
        frame["a"] * frame["b"] + np.sin(3 * frame["c"]) + frame["d"] * (frame["e"] > 0)
    )


def sides(frame: pd.DataFrame) -> np.ndarray:
    return (signal(frame) > 0).astype(int)


def on_numbers(model: Any) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    regression = type(model).__name__.endswith("Regressor")
    frame = numbers()
    model.fit(frame, signal(frame) if regression else sides(frame))
    features = [{"name": name, "type": "number"} for name in NAMES]
    return model, frame, {"features": features}


def on_all_kinds(model: Any) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    frame = with_all_kinds()
    kinds = {"b": "category", "d": "category"}
    model.fit(frame.astype(kinds), target(frame))
    features = [
        {"name": name, "type": kinds.get(name, "number"), "nullable": True} for name in NAMES
    ]
    return model, frame, {"features": features}


MODELS = {
    "boosting": lambda: on_numbers(GradientBoostingClassifier(n_estimators=20, random_state=0)),
    "boosted values": lambda: on_numbers(
        GradientBoostingRegressor(n_estimators=20, random_state=0)
    ),
    "forest": lambda: on_numbers(RandomForestClassifier(8, random_state=0)),
    "extra trees": lambda: on_numbers(ExtraTreesRegressor(8, max_depth=5, random_state=0)),
    "one tree": lambda: on_numbers(DecisionTreeClassifier(max_depth=6, random_state=0)),
    "histogram": lambda: on_numbers(HistGradientBoostingClassifier(max_iter=15, random_state=0)),
    "histogram of counts": lambda: _counts(),
    "gaps and categories": lambda: on_all_kinds(
        HistGradientBoostingClassifier(
            max_iter=12, random_state=0, categorical_features="from_dtype", min_samples_leaf=5
        )
    ),
}


def _counts() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    frame = numbers()
    model = HistGradientBoostingRegressor(loss="poisson", max_iter=12, random_state=0)
    model.fit(frame, np.abs(np.round(signal(frame) * 3)))
    return model, frame, {"features": [{"name": name, "type": "number"} for name in NAMES]}


every_forest = pytest.mark.parametrize("name", MODELS)
Made = tuple[Subject, pd.DataFrame]


@pytest.fixture
def made(name: str, subject: Subjects) -> Made:
    model, frame, metadata = MODELS[name]()
    found = subject("sklearn", model, metadata, frame)
    return found, found.table(frame)


@every_forest
def test_interventional_values_are_those_of_the_definition(made: Made) -> None:
    subject, frame = made
    background = Background.of(frame.iloc[:12].reset_index(drop=True))
    explainer = ready("shap.interventional", subject, background)
    rows = frame.iloc[100:103].reset_index(drop=True)
    found = shares(explained(explainer, subject.instances(rows)))
    for at in range(len(rows)):
        expected = shapley(subject.scores, rows.iloc[[at]], background.frame)
        np.testing.assert_allclose(found[at], expected, rtol=0, atol=BRUTE)


@every_forest
def test_interventional_values_agree_with_the_exact_explainer(made: Made) -> None:
    subject, frame = made
    background = Background.of(frame.iloc[:40].reset_index(drop=True))
    rows = subject.instances(frame.iloc[100:104])
    ours = shares(explained(ready("shap.interventional", subject, background), rows))
    exact = shares(explained(ready("shap.exact", subject, background), rows))
    np.testing.assert_allclose(ours, exact, rtol=0, atol=BRUTE)


@every_forest
def test_path_dependent_values_are_those_of_the_definition(name: str, made: Made) -> None:
    subject, frame = made
    rows = frame.iloc[100:103].reset_index(drop=True)
    explainer = ready("shap.tree", subject, Background.of(frame))
    found = shares(explained(explainer, subject.instances(rows)))
    encoded = subject.encoded(rows)
    groups = [group[0] for group in subject.groups()]
    for at in range(len(rows)):
        expected = path_dependent(subject.final, encoded[at], groups)
        np.testing.assert_allclose(found[at], expected, rtol=0, atol=BRUTE)


def path_dependent(final: Any, row: np.ndarray, groups: list[int]) -> np.ndarray:
    """By the definition, on the estimator's own nodes: an unknown feature follows the weights."""
    members = np.arange(2**6)[:, np.newaxis] >> np.arange(6) & 1 == 1
    worths = [_expected(final, row, {groups[i] for i in np.flatnonzero(s)}) for s in members]
    frame = pd.DataFrame(np.zeros((1, 6)), columns=NAMES)
    by_subset = dict(zip(map(tuple, members), worths, strict=True))

    def score(mixed: pd.DataFrame) -> np.ndarray:
        return np.array([by_subset[tuple(each == 1)] for each in mixed.to_numpy()])

    return shapley(score, frame + 1, frame)


def _expected(final: Any, row: np.ndarray, known: set[int]) -> float:
    if hasattr(final, "_predictors"):
        trees = [_histogram_walk(stage[0], row, known) for stage in final._predictors]
        return float(sum(trees))
    boosted = "Boosting" in type(final).__name__
    members = np.ravel(final.estimators_) if hasattr(final, "estimators_") else [final]
    total = sum(_tree_walk(each.tree_, row, known, boosted) for each in members)
    return float(total * final.learning_rate if boosted else total / len(members))


def _tree_walk(tree: Any, row: np.ndarray, known: set[int], boosted: bool, node: int = 0) -> float:
    if tree.children_left[node] < 0:
        values = tree.value[node][0]
        return float(values[0] if len(values) == 1 else values[1] / values.sum())
    children = tree.children_left[node], tree.children_right[node]
    if tree.feature[node] in known:
        goes_left = np.float32(row[tree.feature[node]]) <= tree.threshold[node]
        return _tree_walk(tree, row, known, boosted, children[0 if goes_left else 1])
    weights = tree.weighted_n_node_samples
    parts = [weights[c] * _tree_walk(tree, row, known, boosted, c) for c in children]
    return float(sum(parts) / weights[node])


def _histogram_walk(predictor: Any, row: np.ndarray, known: set[int], node: int = 0) -> float:
    at = predictor.nodes[node]
    if at["is_leaf"]:
        return float(at["value"])
    children = [int(at["left"]), int(at["right"])]
    if int(at["feature_idx"]) in known:
        goes_left = _goes_left(predictor, at, row[at["feature_idx"]])
        return _histogram_walk(predictor, row, known, children[0 if goes_left else 1])
    weights = [float(predictor.nodes[c]["count"]) for c in children]
    parts = [
        w * _histogram_walk(predictor, row, known, c)
        for w, c in zip(weights, children, strict=True)
    ]
    return sum(parts) / sum(weights)


def _goes_left(predictor: Any, node: Any, value: float) -> bool:
    if np.isnan(value):
        return bool(node["missing_go_to_left"])
    if node["is_categorical"]:
        bits = predictor.raw_left_cat_bitsets[node["bitset_idx"]]
        return bool(int(bits[int(value) // 32]) >> (int(value) % 32) & 1)
    return bool(value <= node["num_threshold"])


def test_the_categories_of_these_trees_are_sets_and_gaps_are_met(subject: Subjects) -> None:
    """What makes the comparisons above worth something."""
    model, frame, _ = MODELS["gaps and categories"]()
    nodes = np.concatenate([stage[0].nodes for stage in model._predictors])
    assert nodes["is_categorical"].sum() > 5
    assert frame.iloc[100:103].isna().any().any() or frame.iloc[:12].isna().any().any()
    bits = np.concatenate([stage[0].raw_left_cat_bitsets for stage in model._predictors])
    assert any(_runs(int(each[0])) > 2 for each in bits)


def _runs(bits: int) -> int:
    sides_ = [bits >> code & 1 for code in range(8)]
    return 1 + sum(left != right for left, right in zip(sides_, sides_[1:], strict=False))


def breast_cancer() -> tuple[pd.DataFrame, np.ndarray]:
    frame, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    return frame, labels.to_numpy()


def plain_shap(model: Any, background: pd.DataFrame, rows: pd.DataFrame) -> tuple[Any, Any]:
    """The library as it comes, on all rows of the background."""
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.TreeExplainer(model, masker, feature_perturbation="interventional")
    return explainer.shap_values(rows, check_additivity=False), explainer.expected_value


@pytest.mark.parametrize("gaps", [False, True])
def test_the_library_alone_is_wrong_by_logits_and_ours_is_not(
    gaps: bool, subject: Subjects
) -> None:
    """Thresholds narrowed to single precision send training rows the wrong way."""
    frame, labels = breast_cancer()
    if gaps:
        frame = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    model = HistGradientBoostingClassifier(random_state=0).fit(frame, labels)
    background, rows = frame.iloc[:100], frame.iloc[100:300]
    margin = model.decision_function(rows)

    values, base = plain_shap(model, background, rows)
    assert np.abs(values.sum(axis=1) + base - margin).max() > 0.1

    made = subject("sklearn", model, {}, frame)
    explainer = ready("shap.interventional", made, Background.of(made.table(background)))
    answers = explained(explainer, made.instances(made.table(rows)))
    totals = np.sum(shares(answers), axis=1) + [a["baseValue"] for a in answers]
    np.testing.assert_allclose(totals, margin, rtol=0, atol=1e-6)
    assert answers[0]["baseValue"] == pytest.approx(model.decision_function(background).mean())


def test_the_library_alone_is_wrong_on_native_categories_and_ours_is_not(
    subject: Subjects,
) -> None:
    """Sets of categories are read as thresholds, even of the codes that the trees use."""
    model, frame, metadata = MODELS["gaps and categories"]()
    made = subject("sklearn", model, metadata, frame)
    clean = made.table(frame)
    codes = made.encoded(clean)
    values, base = plain_shap(model, codes[:50], codes)
    assert np.abs(values.sum(axis=1) + base - made.scores(clean)).max() > 0.1

    explainer = ready("shap.interventional", made, Background.of(clean.iloc[:50]))
    answers = explained(explainer, made.instances(clean))
    totals = np.sum(shares(answers), axis=1) + [a["baseValue"] for a in answers]
    np.testing.assert_allclose(totals, made.scores(clean), rtol=0, atol=1e-6)


def test_a_forest_is_right_where_the_library_is_off(subject: Subjects) -> None:
    frame, labels = breast_cancer()
    model = RandomForestClassifier(40, random_state=0).fit(frame, labels)
    made = subject("sklearn", model, {}, frame)
    background = Background.of(made.table(frame.iloc[:100]))
    rows = made.table(frame.iloc[100:160])
    answers = explained(ready("shap.interventional", made, background), made.instances(rows))
    assert max(a["fidelity"]["additivityError"] for a in answers) < 1e-6


@pytest.mark.parametrize("rows", [100, 250])
def test_the_whole_background_counts(rows: int, subject: Subjects) -> None:
    """The library takes a random hundred of a longer one."""
    model, frame, metadata = MODELS["boosting"]()
    made = subject("sklearn", model, metadata, frame)
    background = made.table(frame.iloc[:rows])
    explainer = ready("shap.interventional", made, Background.of(background))
    answer = explained(explainer, made.instances(made.table(frame.iloc[:1])))[0]
    assert answer["baseValue"] == pytest.approx(made.scores(background).mean(), abs=1e-9)


def test_path_dependent_values_are_the_librarys_own(subject: Subjects) -> None:
    frame, labels = breast_cancer()
    model = GradientBoostingClassifier(n_estimators=30, random_state=0).fit(frame, labels)
    made = subject("sklearn", model, {}, frame)
    rows = made.table(frame.iloc[:20])
    ours = shares(explained(ready("shap.tree", made, Background.of(rows)), made.instances(rows)))
    np.testing.assert_allclose(ours, shap.TreeExplainer(model).shap_values(rows), atol=1e-12)


def test_several_classes_of_boosting_are_explained_each(subject: Subjects) -> None:
    """The library alone takes gradient boosting of two classes only."""
    frame = table()[["income", "age"]]
    model = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(frame, thirds(table()))
    made = subject("sklearn", model, {}, frame)
    rows = made.table(frame.iloc[:20])
    answers = explained(ready("shap.tree", made, Background.of(rows)), made.instances(rows))
    assert {a["class"] for a in answers} == {0, 1, 2}
    assert {a["unit"] for a in answers} == {"logit"}


def test_one_hot_columns_are_added_up(subject: Subjects) -> None:
    from tests.serving import sklearn_cases

    fitted = sklearn_cases.one_hot_and_gradient_boosting()
    made = subject("sklearn", fitted.model, fitted.metadata)
    rows = made.frame(fitted.instances)
    ours = shares(explained(ready("shap.tree", made, Background.of(rows)), fitted.instances))
    encoded = shap.TreeExplainer(made.final).shap_values(made.encoded(rows))
    city = made.groups()[made.names.index("city")]
    assert len(city) == 3
    np.testing.assert_allclose(
        np.array(ours)[:, made.names.index("city")], encoded[:, city].sum(axis=1), atol=1e-12
    )


def test_a_constant_model_gives_every_feature_nothing(subject: Subjects) -> None:
    frame = table()[["income", "age"]]
    model = GradientBoostingRegressor(n_estimators=3).fit(frame, np.ones(len(frame)))
    made = subject("sklearn", model, {"problemType": "regression"}, frame)
    rows = made.table(frame.iloc[:3])
    for method in ("shap.tree", "shap.interventional"):
        answers = explained(ready(method, made, Background.of(rows)), made.instances(rows))
        assert shares(answers) == [[0.0, 0.0]] * 3
        assert answers[0]["baseValue"] == pytest.approx(1.0)


def test_boosting_that_starts_from_a_model_of_its_own_is_refused(subject: Subjects) -> None:
    frame, start = table()[["income", "age"]], DecisionTreeClassifier(max_depth=1)
    model = GradientBoostingClassifier(n_estimators=3, init=start).fit(frame, outcome(table()))
    with pytest.raises(LoadError, match="starts from a DecisionTreeClassifier of its own"):
        forest_of(model, 1, 2)


def test_ranks_keep_the_outcome_of_every_comparison() -> None:
    thresholds = np.nextafter(np.float64(0.1), [0, 1, 2, 3])
    trees = [
        Tree(
            np.array([1, -1, -1]),
            np.array([2, -1, -1]),
            np.array([1, -1, -1]),
            np.array([0, -1, -1]),
            np.array([threshold, 0, 0]),
            np.array([0.0, 1.0, 2.0]),
            np.array([2.0, 1.0, 1.0]),
        )
        for threshold in thresholds
    ]
    ranks = Ranks(Forest(trees, 0.0), 1)
    values = np.sort(np.concatenate((thresholds, [0.0, 0.1, 1.0, np.nan])))[:, np.newaxis]
    found = ranks.of(values)
    for tree, threshold in zip(ranks.trees(), thresholds, strict=True):
        ours = np.float32(found) <= np.float32(tree["thresholds"][0])
        np.testing.assert_array_equal(ours, values <= threshold)
    assert np.isnan(found[-1, 0])


def test_values_of_several_outputs_are_explained_by_the_first(subject: Subjects) -> None:
    values, targets = make_regression(80, 4, n_targets=2, random_state=0)
    frame = pd.DataFrame(values, columns=list("abcd"))
    model = ExtraTreesRegressor(5, random_state=0).fit(frame, targets)
    made = subject("sklearn", model, {"problemType": "regression"}, frame)
    rows = made.table(frame.iloc[:5])
    answers = explained(ready("shap.tree", made, Background.of(rows)), made.instances(rows))
    np.testing.assert_allclose([a["prediction"] for a in answers], model.predict(rows)[:, 0])

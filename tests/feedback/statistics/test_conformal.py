"""Sets and intervals hold what they promise on held-out cases, and their formulas are exact."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.stats import betabinom
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.feedback.statistics.conformal import (
    Method,
    calibrate_classes,
    calibrate_numbers,
    cases_needed,
    class_uncertainty,
    conformal_quantile,
    number_uncertainty,
)

SPLITS = 12
ALPHAS = [0.05, 0.1, 0.2]


def test_the_quantile_is_the_score_of_the_promised_rank() -> None:
    scores = np.arange(1, 20)
    assert conformal_quantile(scores, 0.1) == 18  # ceil(20 * 0.9)
    assert conformal_quantile(scores, 0.05) == 19  # ceil(20 * 0.95), not one more by rounding
    assert conformal_quantile(scores, 0.07) == 19
    assert conformal_quantile(scores, 0.04) == math.inf


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 19), (0.1, 9), (0.2, 4), (0.3, 3)])
def test_fewer_cases_than_needed_leave_no_class_out(alpha: float, needed: int) -> None:
    assert cases_needed(alpha) == needed
    assert conformal_quantile(np.zeros(needed), alpha) == 0
    assert conformal_quantile(np.zeros(needed - 1), alpha) == math.inf


@pytest.mark.parametrize("alpha", [0, 1, -0.1])
def test_an_impossible_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha lies between"):
        conformal_quantile([1.0], alpha)


def promised(covered: int, calibrated: int, tested: int, alpha: float, exact: bool = True) -> bool:
    """Whether as many covered cases as these are no surprise (one in 10,000 on each side): given
    the calibration, coverage has a beta distribution (Vovk 2012, ACML; Angelopoulos & Bates 2023,
    3.2). Scores with ties and sets that are wide on purpose are held from below alone."""
    rank = math.ceil((calibrated + 1) * (1 - alpha) - 1e-9)
    law = betabinom(tested, rank, calibrated + 1 - rank)
    return bool(covered >= law.ppf(1e-4) and (not exact or covered <= law.ppf(1 - 1e-4)))


@cache
def cancer(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities and actuals of 200 cases to calibrate and 219 to test."""
    rows, actual = load_breast_cancer(return_X_y=True)
    rows = rows[:, :3]  # three features leave errors to be covered
    train, rest, train_actual, rest_actual = train_test_split(
        rows, actual, train_size=150, random_state=seed
    )
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, train_actual)
    given = model.predict_proba(rest)
    return given[:200], rest_actual[:200], given[200:], rest_actual[200:]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_of_classes_cover_as_promised(method: Method, alpha: float) -> None:
    for seed in range(SPLITS):
        given, actual, tested, truth = cancer(seed)
        found = calibrate_classes(given, actual.tolist(), [0, 1], alpha, method=method)
        covered = found.sets(tested)[np.arange(len(truth)), truth].sum()
        assert promised(covered, 200, len(truth), alpha, exact=method == "lac")


@pytest.mark.parametrize("alpha", ALPHAS)
def test_sets_per_class_cover_within_each_class(alpha: float) -> None:
    for seed in range(SPLITS):
        given, actual, tested, truth = cancer(seed)
        found = calibrate_classes(given, actual.tolist(), [0, 1], alpha, per_class=True)
        assert found.counts == ((actual == 0).sum(), (actual == 1).sum())
        for k in (0, 1):
            own = found.sets(tested)[truth == k, k]
            assert promised(own.sum(), found.counts[k], len(own), alpha)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("normalised", [False, True])
def test_intervals_of_numbers_cover_as_promised(normalised: bool, alpha: float) -> None:
    rows, actual = load_diabetes(return_X_y=True)
    for seed in range(SPLITS):
        train, rest, goal, truth = train_test_split(rows, actual, train_size=150, random_state=seed)
        model = Ridge(alpha=0.1).fit(train, goal)
        residuals = np.abs(goal - model.predict(train))
        hardness = KNeighborsRegressor(20).fit(train, residuals).predict(rest)
        hard = (hardness[:150], hardness[150:]) if normalised else (None, None)
        given = model.predict(rest)
        found = calibrate_numbers(given[:150], truth[:150], alpha, hard[0])
        low, high = found.intervals(given[150:], hard[1])
        covered = ((low <= truth[150:]) & (truth[150:] <= high)).sum()
        assert promised(covered, 150, len(low), alpha)


def test_a_promise_broken_is_seen() -> None:
    """Calibrated on the surest cases alone, as a queue would select them, coverage falls short."""
    given, actual, tested, truth = cancer(0)
    sure = given.max(axis=1) > 0.95
    found = calibrate_classes(given[sure], actual[sure].tolist(), [0, 1], 0.1)
    covered = found.sets(tested)[np.arange(len(truth)), truth].sum()
    assert not promised(covered, int(sure.sum()), len(truth), 0.1)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_adaptive_sets_of_three_classes_cover_and_are_never_empty(alpha: float) -> None:
    rows, actual = load_iris(return_X_y=True)
    train, rest, goal, truth = train_test_split(rows[:, :2], actual, train_size=50, random_state=1)
    given = LogisticRegression().fit(train, goal).predict_proba(rest)
    found = calibrate_classes(given[:50], truth[:50].tolist(), [0, 1, 2], alpha, method="aps")
    sets = found.sets(given[50:])
    assert promised(sets[np.arange(50), truth[50:]].sum(), 50, 50, alpha, exact=False)
    assert sets.sum(axis=1).min() >= 1


def test_the_sets_follow_from_the_scores_by_hand() -> None:
    """Four cases at alpha 0.2: the fourth smallest score. LAC: 0.1, 0.2, 0.4, 0.7."""
    given = [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.1, 0.6], [0.3, 0.5, 0.2]]
    lac = calibrate_classes(given, ["a", "b", "c", "a"], ["a", "b", "c"], 0.2)
    assert lac.thresholds == pytest.approx([0.7] * 3)
    assert lac.sets([0.25, 0.35, 0.4]).tolist() == [[False, True, True]]
    aps = calibrate_classes(given, ["a", "b", "c", "a"], ["a", "b", "c"], 0.2, method="aps")
    assert aps.thresholds == pytest.approx([0.65] * 3)  # 0.45, 0.4, 0.3 and 0.5 + 0.15
    assert aps.sets([0.25, 0.35, 0.4]).tolist() == [[False, True, True]]
    assert aps.sets([0.05, 0.91, 0.04]).tolist() == [[False, True, False]]


def test_an_adaptive_set_holds_the_likeliest_class_even_where_its_score_is_above() -> None:
    aps = calibrate_classes([[0.6, 0.4]] * 4, ["a"] * 4, ["a", "b"], 0.2, method="aps")
    assert aps.thresholds == pytest.approx([0.3] * 2)
    assert aps.sets([0.99, 0.01]).tolist() == [[True, False]]


def test_an_interval_is_as_wide_as_the_case_is_hard() -> None:
    found = calibrate_numbers([0, 0, 0, 0], [1, 2, 6, 4], 0.2, [1, 1, 2, 4])
    assert found.half_width == 3
    low, high = found.intervals([10, 10], [1, 0.5])
    assert (low.tolist(), high.tolist()) == ([7, 8.5], [13, 11.5])


def test_a_difficulty_at_one_end_alone_is_refused() -> None:
    found = calibrate_numbers([0] * 4, [1] * 4, 0.2)
    with pytest.raises(ValueError, match="or neither has"):
        found.intervals([1], [1])
    with pytest.raises(ValueError, match="positive number"):
        calibrate_numbers([0], [1], 0.2, [0])


def test_a_larger_set_is_more_uncertain_then_a_smaller_margin() -> None:
    sets = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]], dtype=bool)
    given = [[0.9, 0.1, 0], [0.5, 0.5, 0], [0.7, 0.2, 0.1], [0.98, 0.01, 0.01], [0.4, 0.3, 0.3]]
    found = class_uncertainty(sets, given)
    assert np.argsort(found).tolist() == [0, 1, 2, 3, 4]


def test_an_interval_that_holds_the_threshold_deeper_is_more_uncertain() -> None:
    found = number_uncertainty([0, 2, 6, 4.5], [4, 10, 9, 12], threshold=5)
    assert found.tolist() == [-1, 3, -1, 0.5]
    assert number_uncertainty([0], [4]).tolist() == [4]


def test_a_missing_or_strange_actual_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="leave cases without an actual out"):
        calibrate_numbers([1, 2], [1, math.nan], 0.5)
    with pytest.raises(ValueError, match="c is none of the classes a, b"):
        calibrate_classes([[0.5, 0.5]], ["c"], ["a", "b"], 0.5)
    with pytest.raises(ValueError, match="one actual for each row"):
        calibrate_classes([[0.5, 0.5]], ["a", "b"], ["a", "b"], 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibrate_classes([[0.5, math.nan]], ["a"], ["a", "b"], 0.5)

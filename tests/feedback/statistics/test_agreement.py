"""Kappas, their errors and intervals equal scikit-learn and published examples."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from apps.feedback.statistics.agreement import (
    Kappa,
    Weights,
    cohen_kappa,
    fleiss_kappa,
    percent_agreement,
)

# The table of statsmodels' test_inter_rater.py, with the output of SAS.
PUBLISHED = [[0, 4, 1], [0, 8, 0], [0, 1, 5]]
# Fleiss 1971's method on the worked example of Wikipedia, "Fleiss' kappa": ten cases, 14 raters.
TEN_CASES = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
# Twelve units of four raters with gaps: the data set raw_4raters of irrCAC 0.4, with its output.
WITH_GAPS = [
    "11-1",
    "2232",
    "3333",
    "3333",
    "2222",
    "1234",
    "4444",
    "1121",
    "2222",
    "-555",
    "--11",
    "--3-",
]


def raters(table: list[list[int]]) -> tuple[list[int], list[int]]:
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def rounded(kappa: Kappa, digits: int = 4) -> tuple[float, ...]:
    numbers = (kappa.value, kappa.standard_error, kappa.low, kappa.high)
    return tuple(round(each, digits) for each in numbers)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("none", (0.4842, 0.1380, 0.2137, 0.7547)), ("linear", (0.4701, 0.1457, 0.1845, 0.7558))],
)
def test_cohen_equals_the_published_output(weights: Weights, expected: tuple[float, ...]) -> None:
    assert rounded(cohen_kappa(*raters(PUBLISHED), range(3), weights)) == expected


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohen_equals_scikit_learn(weights: Weights) -> None:
    generator = np.random.default_rng(1)
    first = generator.integers(0, 5, 300)
    second = np.where(generator.random(300) < 0.5, first, generator.integers(0, 5, 300))
    expected = cohen_kappa_score(first, second, weights=None if weights == "none" else weights)
    found = cohen_kappa(first.tolist(), second.tolist(), range(5), weights)
    assert found.value == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_cohen_covers_the_kappa_of_the_population() -> None:
    """Two raters who each keep the true class of three in 80 %: kappa from their joint table."""
    keep = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    joint = keep.T @ np.diag([0.5, 0.3, 0.2]) @ keep
    usual = float(joint.sum(axis=0) @ joint.sum(axis=1))
    truth = (np.trace(joint) - usual) / (1 - usual)
    generator, covered = np.random.default_rng(2), 0
    for _ in range(400):
        cells = generator.choice(9, 200, p=joint.ravel())
        found = cohen_kappa((cells // 3).tolist(), (cells % 3).tolist(), range(3))
        covered += found.low <= truth <= found.high
    assert covered / 400 >= 0.92


def test_percent_agreement_counts_equal_classes() -> None:
    found = percent_agreement(["a", "b", "a"], ["a", "b", "b"])
    assert (found.count, found.n) == (2, 3)


def test_one_class_alone_has_no_kappa_and_says_why() -> None:
    found = cohen_kappa(["good"] * 5, ["good"] * 5, ["bad", "good"])
    assert found.value is None
    assert found.observed == 1
    assert found.reason.startswith("All judgements name one and the same class")


def test_no_case_has_no_kappa() -> None:
    assert cohen_kappa([], [], ["a", "b"]).reason.startswith("No case")
    assert fleiss_kappa([]).reason.startswith("No case")


def test_reviewers_of_unequal_numbers_of_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="One reviewer judged 2 cases, the other 1"):
        cohen_kappa(["a", "b"], ["a"], ["a", "b"])


def test_fleiss_equals_the_worked_example() -> None:
    found = fleiss_kappa(TEN_CASES)
    assert (round(found.observed, 3), round(found.expected, 3)) == (0.378, 0.213)
    assert round(found.value, 3) == 0.210


def test_fleiss_with_gaps_equals_irrcac() -> None:
    found = fleiss_kappa([[unit.count(str(k)) for k in range(1, 6)] for unit in WITH_GAPS])
    assert (round(found.observed, 5), round(found.expected, 5)) == (0.81818, 0.23872)
    assert rounded(found, 5) == (0.76117, 0.15302, 0.42438, 1.0)
    assert (found.n, found.left_out) == (11, 1)


def test_cases_that_one_reviewer_judged_say_nothing_about_agreement() -> None:
    found = fleiss_kappa([[1, 0], [0, 1], [0, 0]])
    assert found.value is None
    assert (found.n, found.left_out) == (0, 2)


def test_fleiss_of_one_class_alone_is_none() -> None:
    found = fleiss_kappa([[3, 0], [2, 0]])
    assert found.value is None
    assert found.reason


def test_a_single_case_has_a_kappa_and_no_interval() -> None:
    found = fleiss_kappa([[2, 1]])
    assert found.value == pytest.approx((1 / 3 - 5 / 9) / (4 / 9))
    assert found.low is None


def test_full_agreement_on_few_cases_claims_no_certainty() -> None:
    for found in (cohen_kappa("abab", "abab", "ab"), fleiss_kappa([[2, 0], [0, 3], [2, 0]])):
        assert found.value == pytest.approx(1)
        assert (found.low, found.high, found.standard_error) == (None, None, None)


def test_a_class_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="maybe is none of the classes good, bad"):
        cohen_kappa(["good"], ["maybe"], ["good", "bad"])

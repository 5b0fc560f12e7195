"""Overrides by group, differences of modes and waiting times equal published examples."""

import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf

from apps.feedback.statistics.overrides import (
    difference,
    disagreement_by_class,
    disagreement_by_size,
    quantile_edges,
    revealed,
    turnaround,
)

# Weeks in remission with 6-MP, Freireich et al. 1963, as in Cox & Oakes 1984, table 1.1.
RELAPSED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
IN_REMISSION = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_differences_equal_the_examples_of_newcombe(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10."""
    found = difference(*counts)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.value == counts[0] / counts[1] - counts[2] / counts[3]


def test_no_case_on_one_side_has_no_difference() -> None:
    found = difference(3, 4, 0, 0)
    assert found.value is None
    assert found.reason == "There is no case yet in one of the two groups."


def test_disagreement_is_counted_per_predicted_class() -> None:
    found = disagreement_by_class(["good", "bad", "bad", "bad"], [0, 1, 0, 1])
    assert [(each.name, each.share.count, each.share.n) for each in found] == [
        ("bad", 2, 3),
        ("good", 0, 1),
    ]
    assert found[0].stream is None


def test_disagreement_per_class_is_weighted_to_all_predictions_of_the_class() -> None:
    found = disagreement_by_class(
        ["bad", "bad", "bad", "good"],
        [1, 0, 1, 1],
        [1, 0.1, 0.1, 1],
        {"bad": 21, "good": 1, "no": 9},
    )
    bad, good, unseen = found
    assert bad.stream.value == pytest.approx((1 + 20 / 2) / 21)
    assert good.stream.value == 1
    assert (unseen.share.value, unseen.stream.value, unseen.stream.high) == (None, None, 1)


def test_quantile_groups_are_about_equal_and_repeated_values_share_one() -> None:
    assert quantile_edges(range(1, 9)) == (2, 4, 6)
    assert quantile_edges([1, 1, 1, 1, 1, 1, 2, 3]) == (1,)
    assert quantile_edges([5, 5, 5]) == ()
    assert quantile_edges([]) == ()


def test_every_prediction_is_in_one_group() -> None:
    found = disagreement_by_size([0, 2, 3, 100], [1, 0, 1, 1], (2, 4))
    assert [(each.low, each.high) for each in found] == [(None, 2), (2, 4), (4, None)]
    assert [(each.share.count, each.share.n) for each in found] == [(1, 2), (1, 1), (1, 1)]


def test_what_the_models_answer_changed_is_told_by_direction() -> None:
    found = revealed(
        blind=["bad", "good", "good", "bad", "bad"],
        final=["bad", "bad", "good", "good", "bad"],
        model=["bad", "bad", "bad", "bad", "bad"],
    )
    assert (found.differed.count, found.differed.n) == (2, 5)
    assert (found.moved.count, found.moved.n) == (1, 2)
    assert (found.left.count, found.left.n) == (1, 3)


def test_turnaround_equals_the_published_median_with_open_cases() -> None:
    """Median remission of 23 weeks; the lower quartile of relapse at 13."""
    found = turnaround(RELAPSED, IN_REMISSION, (0.25, 0.5, 0.9))
    assert found.seconds == (13, 23, None)
    assert (found.judged, found.waiting) == (9, 12)


def test_turnaround_equals_scipy() -> None:
    generator = np.random.default_rng(9)
    ends, stops = generator.integers(1, 40, 200), generator.integers(1, 60, 200)
    judged, waiting = ends[ends <= stops], stops[ends > stops]
    still = ecdf(CensoredData(judged, right=waiting)).sf
    shares = (0.1, 0.37, 0.5, 0.82)
    expected = [still.quantiles[still.probabilities <= 1 - share][0] for share in shares]
    assert list(turnaround(judged, waiting, shares).seconds) == expected


def test_without_open_cases_it_is_the_plain_quantile() -> None:
    assert turnaround(range(1, 101)).seconds == (50, 90, 99)


def test_no_case_judged_has_no_turnaround() -> None:
    assert turnaround([], [5]).seconds == (None, None, None)
    assert turnaround([]).judged == 0

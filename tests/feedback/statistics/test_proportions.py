"""Intervals equal published ones; weighted estimates are unbiased and cover the truth."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from apps.feedback.statistics.proportions import (
    hajek,
    horvitz_thompson,
    inclusion_probability,
    stream_share,
    wilson,
)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_the_examples_of_newcombe_1998(
    count: int, n: int, low: float, high: float
) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    share = wilson(count, n)
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)


@pytest.mark.parametrize(("count", "n", "confidence"), [(0, 3, 0.95), (4, 9, 0.9), (29, 29, 0.99)])
def test_wilson_equals_scipy(count: int, n: int, confidence: float) -> None:
    expected = binomtest(count, n).proportion_ci(confidence, method="wilson")
    share = wilson(count, n, confidence)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_case_gives_no_share_and_says_so() -> None:
    share = wilson(0, 0)
    assert share.value is None
    assert (share.low, share.high) == (0, 1)
    assert share.reason == "There is no case yet."


def test_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="5 of 4 is no share"):
        wilson(5, 4)


def test_a_case_is_included_by_any_of_its_paths() -> None:
    by_rule = np.array([True, False, False])
    by_novelty = np.array([0.0, 0.5, 0.0])
    found = inclusion_probability([by_rule, by_novelty, 0.1])
    assert found == pytest.approx([1, 0.55, 0.1])


def all_samples(chance: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Every sample that Poisson sampling can draw, with its probability."""
    masks = [np.array(each, dtype=bool) for each in product([True, False], repeat=len(chance))]
    drawn = [(mask, float(np.prod(np.where(mask, chance, 1 - chance)))) for mask in masks]
    return [(mask, weight) for mask, weight in drawn if weight]


def test_horvitz_thompson_and_its_variance_are_unbiased_over_every_possible_sample() -> None:
    values = np.array([0.0, 1, 1, 0, 3, 7])
    chance = np.array([1, 0.9, 0.3, 0.5, 0.2, 0.6])
    found = [
        (horvitz_thompson(values[mask], chance[mask], 6), weight)
        for mask, weight in all_samples(chance)
    ]
    mean = sum(each.value * weight for each, weight in found)
    variance = sum(each.variance * weight for each, weight in found)
    spread = sum((each.value - values.mean()) ** 2 * weight for each, weight in found)
    assert mean == pytest.approx(values.mean())
    assert variance == pytest.approx(spread)


def test_hajek_is_the_weighted_mean_and_needs_no_population() -> None:
    found = hajek([1, 0, 0], [0.5, 1, 1])
    assert found.value == pytest.approx(0.5)
    assert found.variance == pytest.approx(2 * 0.5**2 / 4**2)


def test_equal_probabilities_leave_the_mean_and_nearly_the_fair_size() -> None:
    values = np.tile([0.0, 1, 1, 1], 25)
    found = hajek(values, 0.001)
    assert found.value == 0.75
    assert found.effective_n == pytest.approx(100 / 0.999)
    assert found.design_effect == pytest.approx(0.999)


def test_nothing_reviewed_gives_no_estimate() -> None:
    for found in (hajek([], []), horvitz_thompson([], [], 10)):
        assert found.value is None
        assert found.reason == "No case has been reviewed yet."


def test_a_case_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out those without one"):
        hajek([1, np.nan], 0.5)


def test_certain_cases_count_once_and_the_slice_stands_for_the_rest() -> None:
    found = stream_share([1, 1, 0, 1, 0, 0, 0], [1, 1, 1, 0.04, 0.04, 0.04, 0.04], 103)
    assert found.value == pytest.approx((2 + 100 / 4) / 103)
    assert found.plain.value == 3 / 7
    assert (found.certain, found.sampled) == (3, 4)


def test_a_stream_reviewed_whole_has_no_uncertainty_left() -> None:
    found = stream_share([1, 0, 0, 1], [1, 1, 1, 1], 4)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    drawn = stream_share([1, 0, 0, 1], 0.2, 4)
    assert (drawn.value, drawn.low, drawn.high) == (0.5, 0.5, 0.5)


def test_without_an_audit_slice_only_the_bounds_are_known() -> None:
    found = stream_share([1, 0], [1, 1], 10)
    assert found.value is None
    assert (found.low, found.high) == (0.1, 0.9)
    assert found.reason == "No case of the random audit slice has been reviewed yet."


def test_an_empty_stream_is_no_stream() -> None:
    assert stream_share([], [], 0).reason == "There is no case yet."


def test_drawn_cases_that_wait_make_no_bias() -> None:
    """Half of the slice is reviewed: the estimate is that of the half, for the whole rest."""
    assert stream_share([1, 0], 0.2, 20).value == pytest.approx(0.5)


def test_more_reviewed_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cases were reviewed of a stream of 1"):
        stream_share([1, 0], 0.5, 1)
    with pytest.raises(ValueError, match="2 cases were reviewed of a stream of 1"):
        horvitz_thompson([1, 0], 0.5, 1)


def test_a_case_that_could_not_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="inclusion probability above 0"):
        stream_share([1, 0], [0.5, 0], 10)


def coverage(stream: np.ndarray, chance: np.ndarray, repetitions: int) -> float:
    generator = np.random.default_rng(20)
    truth, covered = stream.mean(), 0
    for _ in range(repetitions):
        drawn = generator.random(len(stream)) < chance
        found = stream_share(stream[drawn], chance[drawn], len(stream))
        covered += found.low <= truth <= found.high
    return covered / repetitions


@pytest.mark.parametrize(
    ("wrong", "chance"),
    [
        (4, 0.05),  # two tenths of a wrong case are drawn
        (20, 0.05),
        (200, 0.02),
        (200, 0.3),
        (900, 0.05),
    ],
)
def test_the_interval_covers_also_where_few_are_drawn(wrong: int, chance: float) -> None:
    stream = np.zeros(1000)
    stream[:wrong] = 1
    assert coverage(stream, np.full(1000, chance), 2000) >= 0.935


def test_the_interval_covers_where_probabilities_differ_and_go_with_the_error() -> None:
    generator = np.random.default_rng(3)
    chance = np.repeat([0.02, 0.1, 0.5, 1], [2000, 1000, 500, 200])
    stream = generator.random(3700) < np.repeat([0.03, 0.08, 0.3, 0.5], [2000, 1000, 500, 200])
    assert coverage(stream.astype(float), chance, 2000) >= 0.935


def test_weights_take_out_the_bias_that_the_plain_ratio_has() -> None:
    generator = np.random.default_rng(4)
    chance = np.repeat([0.05, 1], [3600, 400])
    stream = (generator.random(4000) < np.repeat([0.1, 0.45], [3600, 400])).astype(float)
    found = []
    for _ in range(500):
        drawn = generator.random(4000) < chance
        found.append(stream_share(stream[drawn], chance[drawn], 4000))
    values = np.array([each.value for each in found])
    plain = np.array([each.plain.value for each in found])
    error = values.std() / np.sqrt(500)
    assert abs(values.mean() - stream.mean()) < 4 * error
    assert plain.min() > stream.mean() + 0.1

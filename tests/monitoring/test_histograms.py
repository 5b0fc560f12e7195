"""Quantiles from histograms lie within the documented bound of the true ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring import histograms as h


def spread(kind: str) -> np.ndarray:
    random = np.random.default_rng(7)
    drawn = {
        "latencies": random.lognormal(8, 1, 5000),
        "two humps": np.concatenate([random.normal(900, 40, 300), random.normal(9e5, 4e4, 200)]),
        "even": random.uniform(1, 1e6, 999),
        "one value": np.full(50, 1234.0),
        "ones": np.ones(3),
        "powers": 2.0 ** np.arange(30),
    }
    return np.round(np.maximum(drawn[kind], 1))


@pytest.mark.parametrize("kind", ["latencies", "two humps", "even", "one value", "ones", "powers"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95, 0.99, 1.0])
def test_a_quantile_is_within_the_bound_of_numpys(kind: str, share: float) -> None:
    values = spread(kind)
    true = np.quantile(values, share, method="inverted_cdf")
    estimate = h.quantile(h.count(h.size_bins(values)), share)
    assert estimate == pytest.approx(true, rel=h.RELATIVE_ERROR + 1e-6)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60), st.floats(0, 1))
def test_the_bound_holds_for_any_sizes(values: list[int], share: float) -> None:
    true = np.quantile(values, share, method="inverted_cdf")
    estimate = h.quantile(h.count(h.size_bins(np.array(values, dtype=float))), share)
    assert estimate == pytest.approx(true, rel=h.RELATIVE_ERROR + 1e-6)


def test_nothing_counted_has_no_quantile() -> None:
    assert h.quantile({}, 0.5) is None


def test_histograms_of_parts_add_up_to_that_of_the_whole() -> None:
    values = spread("latencies")
    parts = [h.count(h.size_bins(part)) for part in np.array_split(values, 7)]
    assert h.total(parts) == h.count(h.size_bins(values))


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 0.003, -123456.7, 9e12])
def test_a_number_of_any_sign_is_found_again_in_its_bin(value: float) -> None:
    (number,) = h.amount_bins(np.array([value]))
    assert h.amount_of(int(number)) == pytest.approx(value, rel=h.RELATIVE_ERROR + 1e-6)


def test_bins_between_edges_are_numpys_and_tell_what_lies_outside() -> None:
    edges = np.array([0.0, 10.0, 20.0, 30.0])
    values = np.array([-1.0, 0.0, 9.9, 10.0, 30.0, 30.1])
    assert h.edge_bins(values, edges).tolist() == [-1, 0, 0, 1, 2, 3]
    inside = values[(values >= 0) & (values <= 30)]
    counts = np.histogram(inside, bins=edges)[0]
    assert np.bincount(h.edge_bins(inside, edges)).tolist() == counts.tolist()


def test_scores_fall_into_twenty_bins() -> None:
    assert h.score_bins(np.array([0.0, 0.049, 0.05, 0.999, 1.0])).tolist() == [0, 0, 1, 19, 19]

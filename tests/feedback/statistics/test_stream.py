"""The stream of tests/bench/review.py, smaller: the queue misleads and the weights put it right."""

import numpy as np
import pytest

from tests.bench.review import Plan, Pool, outcomes, pool_of


@pytest.fixture(scope="module")
def pool() -> Pool:
    return pool_of(8000, 2)


@pytest.mark.parametrize("reached", [1.0, 0.5])
def test_the_plain_ratio_is_wrong_and_the_weighted_interval_holds_the_truth(
    pool: Pool, reached: float
) -> None:
    found = list(outcomes(pool, 8000, Plan("", 0.1, 0.05, reached), repetitions=100, seed=2))
    assert sum(each.plain_covers for each in found) == 0
    assert min(each.found.plain.value - each.truth for each in found) > 0.03
    assert sum(each.weighted_covers for each in found) >= 93
    errors = np.array([each.found.value - each.truth for each in found])
    assert abs(errors.mean()) < 3 * errors.std() / 10

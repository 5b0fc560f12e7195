"""Cases like the reference take any rank, unlike ones a high one; gaps and new words count."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.neighbors import NearestNeighbors

from apps.feedback.statistics.novelty import (
    _AT_ONCE,
    Reference,
    _coded,
    _placed,
    novelty,
    reference_of,
)
from fixtures.train_demo import read_data

ROWS = {
    "amount": [100, 200, 300, 400, 500, 600],
    "purpose": ["car", "car", "car", "tools", "tools", "tools"],
}


def columns(frame: pd.DataFrame) -> dict[str, list[object]]:
    return {name: frame[name].tolist() for name in frame.columns}


@pytest.fixture(scope="module")
def credit() -> tuple[Reference, pd.DataFrame]:
    data = read_data()
    words = {f["name"] for f in data.features if f["type"] == "category"}
    return reference_of(columns(data.train), words), data.test


def test_the_distance_is_that_of_gower_on_ranks() -> None:
    reference = reference_of(ROWS, {"purpose"}, nearest=2)
    found = novelty(reference, {"amount": [300], "purpose": ["tools"]})[0]
    # to 400/tools (0.2 + 0)/2, to 300/car (0 + 1)/2, to 500/tools (0.4 + 0)/2
    assert found.distance == pytest.approx((0.1 + 0.2) / 2)


def test_numbers_alone_have_the_distances_of_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    rows = generator.permuted(np.tile(np.arange(50), (3, 1)), axis=1).T
    names = ["a", "b", "c"]
    reference = reference_of(dict(zip(names, rows.T.tolist(), strict=True)), set(), nearest=4)
    cases = generator.integers(0, 50, (20, 3))
    expected = NearestNeighbors(n_neighbors=4, metric="manhattan").fit(rows / 49)
    means = expected.kneighbors(cases / 49)[0].mean(axis=1) / 3
    found = novelty(reference, dict(zip(names, cases.T.tolist(), strict=True)))
    assert [each.distance for each in found] == pytest.approx(means.tolist())


def test_many_cases_at_once_have_the_numbers_of_each_alone(
    credit: tuple[Reference, pd.DataFrame],
) -> None:
    reference, test = credit
    given = columns(pd.concat([test, test.sample(300, replace=True, random_state=1)]))
    for at, values in enumerate(given.values()):
        values[at::17] = [None] * len(values[at::17])
    given["credit_amount"][::5] = [10_000_000] * len(given["credit_amount"][::5])
    given["purpose"][::7] = ["moon"] * len(given["purpose"][::7])
    size = len(given["purpose"])
    assert size > 2 * _AT_ONCE // reference.size
    each = [
        novelty(reference, {name: [values[row]] for name, values in given.items()})[0]
        for row in range(size)
    ]
    assert novelty(reference, given) == each


def test_the_distances_are_those_of_the_formula(credit: tuple[Reference, pd.DataFrame]) -> None:
    """Written out for one pair of cases at a time."""
    reference, test = credit
    given = columns(test.head(6))
    given["credit_amount"][3] = None
    places = _placed(given, reference.numbers, reference._sorted, 6)
    kinds = _coded(given, reference.categories, reference._codes, 6)

    def apart(row: int, other: int) -> float:
        gaps = [
            float(np.isnan(one) != np.isnan(two)) if np.isnan([one, two]).any() else abs(one - two)
            for one, two in zip(places[row], reference._places[other], strict=True)
        ]
        unlike = (kinds[row] != reference._kinds[other]).sum()
        return (sum(gaps) + float(unlike)) / (len(gaps) + kinds.shape[1])

    for row, found in enumerate(novelty(reference, given)):
        every = sorted(apart(row, other) for other in range(reference.size))
        assert found.distance == pytest.approx(np.mean(every[: reference.nearest]), abs=1e-12)


def test_ranks_of_cases_like_the_reference_are_spread_evenly(
    credit: tuple[Reference, pd.DataFrame],
) -> None:
    reference, test = credit
    ranks = [each.percentile for each in novelty(reference, columns(test))]
    assert kstest(ranks, "uniform").pvalue > 0.01


def test_an_unlike_case_has_a_high_rank(credit: tuple[Reference, pd.DataFrame]) -> None:
    """Features drawn each by itself make cases that no applicant is like."""
    reference, test = credit
    generator = np.random.default_rng(6)
    mixed = test.apply(lambda column: generator.permutation(column.to_numpy()))
    plain = [each.percentile for each in novelty(reference, columns(test))]
    strange = [each.percentile for each in novelty(reference, columns(mixed))]
    assert np.mean(strange) > np.mean(plain) + 0.15


def test_a_category_that_the_reference_lacks_is_named_and_counts() -> None:
    reference = reference_of(ROWS, {"purpose"}, nearest=2)
    known, new = novelty(reference, {"amount": [300, 300], "purpose": ["car", "boat"]})
    assert known.unseen == ()
    assert new.unseen == ("purpose",)
    assert new.distance == pytest.approx(known.distance + 0.5)


def test_a_number_beyond_the_reference_is_named_and_counts_up_to_one_range() -> None:
    reference = reference_of(ROWS, {"purpose"}, nearest=1)
    given = {"amount": [600, 601, 850, 1_000_000, 99], "purpose": ["tools"] * 5}
    found = novelty(reference, given)
    assert [each.outside for each in found] == [(), *[("amount",)] * 4]
    assert [each.distance for each in found[:4]] == pytest.approx([0, 0.001, 0.25, 0.5])
    assert found[3].percentile == pytest.approx(6 / 7)


def test_a_missing_value_is_unlike_every_value_and_like_a_missing_one() -> None:
    complete = reference_of(ROWS, {"purpose"}, nearest=1)
    absent = novelty(complete, {"amount": [float("nan")], "purpose": [None]})[0]
    assert absent.distance == 1
    assert (absent.unseen, absent.outside) == ((), ())
    gaps = ROWS | {"amount": [None, *ROWS["amount"][1:]]}
    reference = reference_of(gaps, {"purpose"}, nearest=1)
    assert novelty(reference, {"amount": [None], "purpose": ["car"]})[0].distance == 0


def test_a_column_left_out_is_missing() -> None:
    reference = reference_of(ROWS, {"purpose"}, nearest=1)
    assert novelty(reference, {"purpose": ["car"]})[0].distance == 0.5


def test_a_column_that_the_reference_never_filled_makes_any_value_novel() -> None:
    reference = reference_of({"amount": [None] * 6}, set(), nearest=1)
    assert novelty(reference, {"amount": [None]})[0].distance == 0
    assert novelty(reference, {"amount": [3]})[0].distance == 1
    assert novelty(reference, {"amount": [3]})[0].outside == ("amount",)


def test_one_value_throughout_is_no_division_by_zero() -> None:
    reference = reference_of({"age": [30] * 6}, set(), nearest=1)
    same, other = novelty(reference, {"age": [30, 31]})
    assert (same.distance, other.distance) == (0, 1)


def test_no_case_gives_no_novelty() -> None:
    assert novelty(reference_of(ROWS, {"purpose"}, nearest=2), {}) == []


def test_too_few_rows_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="more than 5 reference rows, and there are 2"):
        reference_of({"a": [1, 2]}, set())

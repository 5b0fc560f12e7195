"""A reviewer is warned of who is both fast and agreeing, beyond chance, with enough to compare."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from apps.feedback.statistics.pace import Pace, Reviewing, more_agreement, paces


def reviewing(name: str, seconds: float, agreed: int, n: int = 100, **seeded: int) -> Reviewing:
    times = tuple(np.linspace(seconds * 0.5, seconds * 1.5, n).tolist())
    return Reviewing(name, times, (True,) * agreed + (False,) * (n - agreed), **seeded)


PEERS = [reviewing("b", 40, 80), reviewing("c", 50, 84), reviewing("d", 60, 78)]


def of_first(one: Reviewing, peers: list[Reviewing] = PEERS) -> Pace:
    return paces([one, *peers])[0]


@pytest.mark.parametrize(
    "table",
    [
        (97, 100, 242, 300),
        (5, 5, 0, 40),
        (0, 10, 3, 20),
        (30, 30, 60, 60),
        (9400, 10000, 46600, 50000),
    ],
)
def test_the_chance_of_more_agreement_is_that_of_fisher(table: tuple[int, int, int, int]) -> None:
    agreed, n, others_agreed, others = table
    cells = [[agreed, n - agreed], [others_agreed, others - others_agreed]]
    expected = fisher_exact(cells, alternative="greater").pvalue
    assert more_agreement(*table) == pytest.approx(expected, rel=1e-9)


def test_fast_and_agreeing_is_suspicious_and_says_why() -> None:
    found = of_first(reviewing("a", 6, 99))
    assert found.is_suspicious
    assert found.reasons == (
        "Half of the cases took under 6.0 seconds; with the others it is 50 seconds.",
        "Agreed with the model in 99 of 100 cases; the others agreed in 81 % of theirs, "
        "more of a difference than chance gives.",
    )


def test_fast_alone_is_an_expert() -> None:
    found = of_first(reviewing("a", 6, 81))
    assert (found.is_fast, found.is_agreeing, found.is_suspicious) == (True, False, False)


def test_agreeing_alone_is_no_rubber_stamp() -> None:
    found = of_first(reviewing("a", 45, 99))
    assert (found.is_fast, found.is_agreeing, found.is_suspicious) == (False, True, False)


def test_the_peers_of_a_suspicious_one_are_not_suspected() -> None:
    assert [p.is_suspicious for p in paces([reviewing("a", 6, 99), *PEERS])] == [True] + [False] * 3


def test_too_few_cases_or_peers_give_no_verdict_and_say_so() -> None:
    few = of_first(reviewing("a", 6, 10, 10))
    assert few.p_value is None
    assert few.reasons == ("Too few cases to compare: 10, and 30 are needed.",)
    alone = of_first(reviewing("a", 6, 99), PEERS[:1])
    assert not alone.is_suspicious
    assert alone.reasons[0].startswith("Too few others to compare with: 1 with 30 cases or more")


def test_nobody_else_and_nothing_done_is_said_too() -> None:
    found = of_first(Reviewing("a", (), ()), [])
    assert found.median_seconds is None
    assert len(found.reasons) == 2


def test_where_all_agree_always_nobody_stands_out() -> None:
    everyone = [reviewing(name, 6 if name == "a" else 50, 100) for name in "abcd"]
    assert not any(each.is_agreeing for each in paces(everyone))


def test_seeded_cases_missed_are_told_with_their_interval() -> None:
    found = of_first(reviewing("a", 45, 82, seeded=20, seeded_found=3))
    assert found.misses_seeded
    assert (found.seeded_found.value, round(found.seeded_found.high, 2)) == (0.15, 0.36)
    assert found.reasons == ("Found 3 of 20 cases whose shown output was wrong.",)
    assert not of_first(reviewing("a", 45, 82, seeded=4, seeded_found=1)).misses_seeded


def test_honest_reviewers_are_seldom_suspected() -> None:
    generator = np.random.default_rng(8)
    warned = 0
    for _ in range(300):
        everyone = [
            Reviewing(
                str(k), tuple(generator.lognormal(3, 1, 80)), tuple(generator.random(80) < 0.85)
            )
            for k in range(5)
        ]
        warned += any(each.is_agreeing for each in paces(everyone))
    assert warned <= 9  # one in a hundred promised; the chance of ten or more is one in 1,000


def test_an_answer_without_its_seconds_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds and an answer"):
        paces([Reviewing("a", (1.0,), (True, False))])

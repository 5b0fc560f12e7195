"""The past cases that are most like one."""

from apps.feedback.statistics.novelty import nearest

COLUMNS = {"age": [20.0, 30.0, 40.0, 50.0, None], "city": ["Ede", "Urk", "Urk", None, "Ede"]}


def test_the_same_case_is_at_no_distance_and_comes_first() -> None:
    assert nearest({"age": 30, "city": "Urk"}, COLUMNS, {"city"}, 2)[0] == (1, 0.0)


def test_distances_are_means_over_features_on_the_scale_of_ranks() -> None:
    found = dict(nearest({"age": 20, "city": "Urk"}, COLUMNS, {"city"}, 5))
    third = 1 / 3
    expected = {0: 0.5, 1: third / 2, 2: 2 * third / 2, 3: 1.0, 4: 1.0}
    assert {at: round(apart, 9) for at, apart in found.items()} == {
        at: round(apart, 9) for at, apart in expected.items()
    }


def test_a_missing_value_is_like_a_missing_one() -> None:
    assert nearest({"age": None, "city": "Ede"}, COLUMNS, {"city"}, 1) == [(4, 0.0)]


def test_of_nothing_nothing_is_near() -> None:
    assert nearest({"age": 1}, {}, set(), 3) == []
    assert nearest({"age": 1}, {"age": []}, set(), 3) == []

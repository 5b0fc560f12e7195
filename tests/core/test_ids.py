"""UUIDv7: order, time and bounds."""

from datetime import UTC, datetime, timedelta

from apps.core.ids import first_at, made_at, uuid7


def test_ids_grow_within_one_process() -> None:
    made = [uuid7() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_is_a_valid_version_7() -> None:
    identifier = uuid7()
    assert identifier.version == 7
    assert identifier.variant == "specified in RFC 4122"


def test_an_id_tells_its_time() -> None:
    before = datetime.now(UTC)
    assert abs(made_at(uuid7()) - before) < timedelta(seconds=1)


def test_the_lower_bound_of_a_time_keeps_it() -> None:
    moment = datetime(2026, 11, 23, 9, 12, 44, 123000, UTC)
    assert made_at(first_at(moment)) == moment
    assert first_at(moment) < first_at(moment + timedelta(milliseconds=1))

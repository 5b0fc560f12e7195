"""What arrives while a batch runs forms the next, within bounds, and no row harms another."""

import asyncio
import threading
from typing import Any

import pytest

from apps.serving.batching import Batcher
from apps.serving.errors import BadRequest, ServingError


class Model:
    """Doubles numbers; notes the batches that it was given; waits for `gate`."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, rows: list[Any]) -> list[Any]:
        self.batches.append(rows)
        self.gate.wait(5)
        if "bad" in rows:
            raise ValueError("a bad row")
        if "unfit" in rows:
            raise BadRequest("an unfit row")
        return [row * 2 for row in rows if row != "lost"]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def batcher(model: Model) -> Batcher[list[Any]]:
    return Batcher(model, max_rows=4)


def submit(batcher: Batcher[list[Any]], *rows: Any) -> asyncio.Future[list[Any]]:
    return batcher.submit(list(rows), lambda predictions: predictions)


async def started(model: Model, batches: int) -> None:
    while len(model.batches) < batches:
        await asyncio.sleep(0.005)


async def test_what_arrives_during_a_batch_forms_the_next(
    batcher: Batcher[list[Any]], model: Model
) -> None:
    model.gate.clear()
    first = submit(batcher, 1)
    await started(model, 1)
    rest = [submit(batcher, 2), submit(batcher, 3, 4)]
    model.gate.set()
    assert [await first, *(await asyncio.gather(*rest))] == [[2], [4], [6, 8]]
    assert model.batches == [[1], [2, 3, 4]]


async def test_a_batch_holds_no_more_rows_than_it_may(
    batcher: Batcher[list[Any]], model: Model
) -> None:
    await asyncio.gather(*(submit(batcher, n, n) for n in range(5)))
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


async def test_a_request_larger_than_a_batch_runs_alone(
    batcher: Batcher[list[Any]], model: Model
) -> None:
    await asyncio.gather(submit(batcher, *range(9)), submit(batcher, 1))
    assert [len(batch) for batch in model.batches] == [9, 1]


@pytest.mark.parametrize(
    ("row", "message", "status"),
    [
        ("bad", "ValueError: a bad row", 500),
        ("unfit", "an unfit row", 400),
        ("lost", "0 outputs for 1 instances", 500),
    ],
)
async def test_a_bad_row_harms_no_other(
    batcher: Batcher[list[Any]], row: str, message: str, status: int
) -> None:
    answers = [submit(batcher, 1), submit(batcher, row), submit(batcher, 2)]
    found = await asyncio.gather(*answers, return_exceptions=True)
    assert (found[0], found[2]) == ([2], [4])
    assert isinstance(found[1], ServingError)
    assert message in found[1].message
    assert found[1].status == status
    assert batcher.counters.errors == 1
    assert await submit(batcher, 5) == [10]


async def test_a_cancelled_request_is_not_run(batcher: Batcher[list[Any]], model: Model) -> None:
    model.gate.clear()
    first = submit(batcher, 1)
    await started(model, 1)
    given_up, kept = submit(batcher, 2), submit(batcher, 3)
    given_up.cancel()
    model.gate.set()
    assert [await first, await kept] == [[2], [6]]
    assert model.batches == [[1], [3]]
    assert batcher.in_flight == 0


async def test_a_request_cancelled_while_it_runs_harms_no_other(
    batcher: Batcher[list[Any]], model: Model
) -> None:
    model.gate.clear()
    given_up = submit(batcher, 1)
    await started(model, 1)
    given_up.cancel()
    model.gate.set()
    assert await submit(batcher, 3) == [6]
    assert batcher.in_flight == 0


async def test_an_answer_that_cannot_be_written_fails_alone(batcher: Batcher[list[Any]]) -> None:
    broken = batcher.submit([1], lambda predictions: [predictions[7]])
    fine = submit(batcher, 2)
    with pytest.raises(ServingError, match="IndexError"):
        await broken
    assert await fine == [4]


async def test_a_slow_model_leaves_the_loop_free_and_a_fast_one_comes_to_run_on_it(
    batcher: Batcher[list[Any]], model: Model
) -> None:
    model.gate.clear()
    slow = submit(batcher, 1)
    await asyncio.sleep(0.02)
    assert not slow.done()
    model.gate.set()
    for number in range(40):
        await submit(batcher, number)
    threads: set[str] = set()
    batcher.predict = lambda rows: threads.add(threading.current_thread().name) or rows  # type: ignore[func-returns-value]
    await submit(batcher, 1)
    assert threads == {"MainThread"}


async def test_a_lone_client_never_waits_and_many_are_waited_for(
    batcher: Batcher[list[Any]],
) -> None:
    batcher._usual_seconds = 0.01
    batcher._last_requests = 1
    assert batcher._wait_seconds() == 0
    batcher._last_requests = 50
    assert 0 < batcher._wait_seconds() <= 0.001
    batcher._usual_seconds = 0.001
    assert batcher._wait_seconds() == 0


async def test_the_counters_count(batcher: Batcher[list[Any]]) -> None:
    await asyncio.gather(submit(batcher, 1), submit(batcher, 2, 3))
    assert (batcher.counters.batches, batcher.counters.rows) == (1, 3)
    assert batcher.counters.model_seconds > 0

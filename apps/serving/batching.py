"""Runs requests through the model in batches: what arrives while one runs forms the next."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from apps.serving.errors import ModelFailure, ServingError

Answer = TypeVar("Answer")
Predict = Callable[[list[Any]], list[Any]]
_INLINE_SECONDS = 0.005
_LONGEST_WAIT_SECONDS, _SHORTEST_WAIT_SECONDS = 0.002, 0.0002
_WAITED_SHARE = 0.1


@dataclass(slots=True)
class Waiting(Generic[Answer]):
    """One request's instances, and what becomes of its predictions."""

    instances: list[Any]
    render: Callable[[list[Any]], Answer]
    answer: asyncio.Future[Answer]


@dataclass(slots=True)
class Counters:
    """What a server has done since its start."""

    batches: int = 0
    rows: int = 0
    errors: int = 0
    model_seconds: float = 0.0


@dataclass(slots=True)
class Batcher(Generic[Answer]):
    """Feeds a model from a queue.

    A request that finds the model idle runs at once, so a lone client never waits. Under load the
    clients of the last batch send again one after the other: the next batch waits for as many as
    the last one held, at most a tenth of what a batch takes and 2 milliseconds, because a batch
    costs nearly the same with one row as with many.

    A model that answers within 5 milliseconds runs on the event loop itself, which saves two
    thread switches a batch; a slower one runs in one thread, so that health checks are answered
    meanwhile. A batch in which the model raises is run again request by request: one bad row
    harms no other.
    """

    predict: Predict
    max_rows: int
    counters: Counters = field(default_factory=Counters)
    in_flight: int = 0
    _queue: deque[Waiting[Answer]] = field(default_factory=deque)
    _running: bool = False
    _last_requests: int = 0
    _usual_seconds: float = 1.0
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def submit(
        self, instances: list[Any], render: Callable[[list[Any]], Answer]
    ) -> asyncio.Future[Answer]:
        """The future of `render` applied to the predictions of `instances`."""
        loop = asyncio.get_running_loop()
        waiting = Waiting(instances, render, loop.create_future())
        self._queue.append(waiting)
        self.in_flight += 1
        if not self._running:
            self._running = True
            self._last_requests = 0
            loop.call_soon(self._next)
        return waiting.answer

    @property
    def queued(self) -> int:
        return len(self._queue)

    def _next(self) -> None:
        wait = self._wait_seconds()
        if wait:
            asyncio.get_running_loop().call_later(wait, self._start)
        else:
            self._start()

    def _wait_seconds(self) -> float:
        """How long to wait for the clients of the last batch; 0 where it is not worth it."""
        if len(self._queue) >= self._last_requests or self._last_requests < 2:
            return 0.0
        wait = min(self._usual_seconds * _WAITED_SHARE, _LONGEST_WAIT_SECONDS)
        return wait if wait >= _SHORTEST_WAIT_SECONDS else 0.0

    def _start(self) -> None:
        batch = self._take()
        self._last_requests = len(batch)
        if not batch:
            self._running = False
            return
        loop = asyncio.get_running_loop()
        if self._usual_seconds < _INLINE_SECONDS:
            self._run(batch)
            loop.call_soon(self._next)
        else:
            work = loop.run_in_executor(self._thread, self._results, batch)
            work.add_done_callback(lambda done: self._finish(batch, done.result()))
            work.add_done_callback(lambda _: self._next())

    def _take(self) -> list[Waiting[Answer]]:
        batch: list[Waiting[Answer]] = []
        rows = 0
        while self._queue and (not batch or rows + len(self._queue[0].instances) <= self.max_rows):
            waiting = self._queue.popleft()
            if waiting.answer.cancelled():
                self.in_flight -= 1
                continue
            rows += len(waiting.instances)
            batch.append(waiting)
        return batch

    def _run(self, batch: list[Waiting[Answer]]) -> None:
        self._finish(batch, self._results(batch))

    def _results(self, batch: list[Waiting[Answer]]) -> list[list[Any] | ServingError]:
        started = time.perf_counter()
        try:
            return self._together(batch)
        except Exception as error:
            if len(batch) == 1:
                return [_failure(error)]
            return [self._alone(waiting) for waiting in batch]
        finally:
            took = time.perf_counter() - started
            self._usual_seconds = 0.7 * self._usual_seconds + 0.3 * took
            self.counters.model_seconds += took

    def _together(self, batch: list[Waiting[Answer]]) -> list[list[Any] | ServingError]:
        if len(batch) == 1:
            return [self._checked(batch[0].instances)]
        outputs = self._checked([row for waiting in batch for row in waiting.instances])
        results: list[list[Any] | ServingError] = []
        start = 0
        for waiting in batch:
            end = start + len(waiting.instances)
            results.append(outputs[start:end])
            start = end
        return results

    def _checked(self, instances: list[Any]) -> list[Any]:
        outputs = self.predict(instances)
        if len(outputs) != len(instances):
            raise ModelFailure(
                f"The model gave {len(outputs)} outputs for {len(instances)} instances"
            )
        return outputs

    def _alone(self, waiting: Waiting[Answer]) -> list[Any] | ServingError:
        try:
            return self._checked(waiting.instances)
        except Exception as error:
            return _failure(error)

    def _finish(
        self, batch: list[Waiting[Answer]], results: list[list[Any] | ServingError]
    ) -> None:
        self.counters.batches += 1
        self.in_flight -= len(batch)
        for waiting, result in zip(batch, results, strict=True):
            self.counters.rows += len(waiting.instances)
            if not waiting.answer.done():
                self._settle(waiting, result)

    def _settle(self, waiting: Waiting[Answer], result: list[Any] | ServingError) -> None:
        if not isinstance(result, ServingError):
            try:
                waiting.answer.set_result(waiting.render(result))
                return
            except Exception as error:
                result = _failure(error)
        self.counters.errors += 1
        waiting.answer.set_exception(result)


def _failure(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    return ModelFailure(f"The model failed: {type(error).__name__}: {error}")

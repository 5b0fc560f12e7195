"""Predictions of one connection alone, and while a client explains without pause."""

import itertools
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import orjson

from tests.bench import load

METHODS = ("lime", "shap.interventional")
HEAD = """
| model | explained by | rounds | alone p50 ms | p99 | beside p50 | p99 | ratio | explained/s |
|---|---|---|---|---|---|---|---|---|"""


def measure(subject: Any, rounds: int, seconds: float) -> None:
    """Prints a line for each costly method: medians over rounds of both, in turns."""
    for method in METHODS:
        if method not in subject.methods:
            continue
        alone: list[load.Result] = []
        beside: list[load.Result] = []
        explained: list[float] = []
        _predicted(subject, 1.0)
        for _ in range(rounds):
            alone.append(_predicted(subject, seconds))
            with _explaining(subject, method) as count:
                beside.append(_predicted(subject, seconds))
                explained.append(len(count) / seconds)
        print(_line(subject.made.name, method, alone, beside, explained), flush=True)


def _line(
    name: str,
    method: str,
    alone: list[load.Result],
    beside: list[load.Result],
    explained: list[float],
) -> str:
    def middle(results: list[load.Result], quantile: str) -> float:
        return statistics.median(getattr(each, quantile) for each in results)

    ratio = statistics.median(b.p50_ms / a.p50_ms for a, b in zip(alone, beside, strict=True))
    return (
        f"| {name} | {method} | {len(alone)} "
        f"| {middle(alone, 'p50_ms'):.1f} | {middle(alone, 'p99_ms'):.1f} "
        f"| {middle(beside, 'p50_ms'):.1f} | {middle(beside, 'p99_ms'):.1f} "
        f"| {ratio:.2f} | {statistics.median(explained):.1f} |"
    )


def _predicted(subject: Any, seconds: float) -> load.Result:
    ready = [
        (load.http_request(f"{subject.path}/predict", _body(row), subject.headers), None)
        for row in subject.made.rows
    ]
    return load.run(subject.port, itertools.cycle(ready), _check, connections=1, seconds=seconds)


def _body(row: Any) -> bytes:
    return orjson.dumps({"instances": [row]})


def _check(status: int, body: bytes, _: Any) -> None:
    if status != 200:
        raise ValueError(f"{status}: {body[:300]!r}")


@contextmanager
def _explaining(subject: Any, method: str) -> Iterator[list[int]]:
    """One client that asks for the next explanation when it has the last one."""
    ended, count = threading.Event(), []

    def ask() -> None:
        connection = HTTPConnection("127.0.0.1", subject.port, timeout=120)
        for row in itertools.cycle(subject.made.rows):
            if ended.is_set():
                break
            path = f"{subject.path}/explain?explainer={method}"
            connection.request("POST", path, _body(row), subject.headers)
            answer = connection.getresponse()
            answer.read()
            count.append(answer.status)
        connection.close()

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield count
        if set(count) - {200}:
            raise RuntimeError(f"{method} answered with {sorted(set(count))}")
    finally:
        ended.set()
        client.join()

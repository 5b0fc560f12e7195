"""Ends work that nobody waits for any more."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from apps.predictions.gateway.errors import GatewayError
from apps.predictions.gateway.reading import CLIENT_CLOSED, Receive

T = TypeVar("T")

_PATIENCE_SECONDS = 0.1


async def while_connected(receive: Receive, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled when the caller goes away before. Raises
    GatewayError 499 then.

    Most requests are over before the watch begins, so they pay for one timer alone.
    """
    task = asyncio.current_task()
    assert task is not None
    watch: asyncio.Task[None] | None = None
    gone = False

    async def look() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    def begin() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(look())

    timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise GatewayError(CLIENT_CLOSED, "The caller went away before the answer.") from None
    finally:
        timer.cancel()
        if watch is not None and not gone:
            watch.cancel()

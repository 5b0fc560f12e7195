"""Keeps one slow deployment from eating the process: few requests at its model, few that wait."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

from apps.predictions.gateway.errors import unavailable


@dataclass(slots=True)
class _Lane:
    inside: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


@dataclass(slots=True)
class Guard:
    """Slots per deployment. First come, first served; a slot passes straight to who waits."""

    max_in_flight: int
    max_waiting: int
    max_wait_seconds: float
    _lanes: dict[UUID, _Lane] = field(default_factory=dict)

    async def enter(self, deployment: UUID) -> None:
        """Returns with a slot, which `leave` gives back. Raises GatewayError 503 at once where
        too many wait already, or after the longest wait."""
        lane = self._lanes.setdefault(deployment, _Lane())
        if lane.inside < self.max_in_flight:
            lane.inside += 1
            return
        if len(lane.waiting) >= self.max_waiting:
            raise unavailable("Too many requests wait for this model; it is slower than its calls.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        try:
            async with asyncio.timeout(self.max_wait_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(deployment)
            elif turn in lane.waiting:
                lane.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                text = f"No place at this model within {self.max_wait_seconds:g} seconds."
                raise unavailable(text) from None
            raise

    def leave(self, deployment: UUID) -> None:
        lane = self._lanes[deployment]
        while lane.waiting:
            turn = lane.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        lane.inside -= 1
        if not lane.inside:
            del self._lanes[deployment]

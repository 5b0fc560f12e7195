"""When a process that ended is started again."""

_CALM_SECONDS = 60.0
_LONGEST_DELAY_SECONDS = 30.0


class Restarts:
    """At once after the first end, then after 1, 2, 4 … 30 seconds, until a calm minute."""

    def __init__(self) -> None:
        self.count = 0
        self._due_at: float | None = None
        self._started_at = 0.0

    def ended(self, now: float) -> float:
        """Notes an end and returns the seconds until the next start."""
        if self.count and now - self._started_at > _CALM_SECONDS:
            self.count = 0
        delay = min(2.0 ** (self.count - 1), _LONGEST_DELAY_SECONDS) if self.count else 0.0
        self.count += 1
        self._due_at = now + delay
        return delay

    def due(self, now: float) -> bool:
        return self._due_at is not None and now >= self._due_at

    def started(self, now: float) -> None:
        self._due_at = None
        self._started_at = now

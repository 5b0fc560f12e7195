"""What the data plane refuses: a status, a sentence, and where it helps the place."""

from typing import Any


class GatewayError(Exception):
    """One row of the error table in docs/api.md."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        retry_after_seconds: int | None = None,
        recorded: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors or []
        self.retry_after_seconds = retry_after_seconds
        self.recorded = recorded


def unavailable(message: str, *, recorded: bool = True) -> GatewayError:
    """503, to be tried again in a second."""
    return GatewayError(503, message, retry_after_seconds=1, recorded=recorded)

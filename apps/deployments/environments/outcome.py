"""How a build ends: with an environment, without one and a reason, or on request."""

from dataclasses import dataclass
from typing import Protocol

TOO_LONG = (
    "The build took longer than it may. Raise ENVIRONMENT_BUILD_SECONDS, or look in the log for a "
    "download that does not move."
)


class Log(Protocol):
    """What a build writes to, line by line."""

    def write(self, line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Built:
    """Where the environment lies (a directory, or the tag of an image), and its size in bytes."""

    location: str
    size: int


class BuildFailed(Exception):
    """One sentence on what failed and why, one on what to do.

    `missing` is the package of which this Python has no such release, where that is the reason.
    """

    def __init__(self, message: str, *, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


class BuildCancelled(Exception):
    """Somebody asked for the end."""

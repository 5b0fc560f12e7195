"""What the person at the terminal sees: steps with their times, messages, and the end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_WIDTH = 44


def say(text: str, *, end: str = "\n") -> None:
    """Prints at once; a terminal or pipe that has gone away must not stop the supervisor."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        sys.stdout = None


@contextmanager
def step(text: str) -> Iterator[None]:
    """One line for one step: what is being done, then how long it took."""
    say(f"  {text} ".ljust(_WIDTH, "."), end=" ")
    started = time.monotonic()
    try:
        yield
    except BaseException:
        say("")
        raise
    say(f"{time.monotonic() - started:5.1f} s")

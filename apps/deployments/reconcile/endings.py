"""Words for people on why a model server ended."""

import signal

from apps.deployments.backends.base import Observation


def why_ended(seen: Observation, tail: str) -> str:
    """One sentence for people on why a model server ended."""
    if seen.reason:
        return seen.reason
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
    if seen.exit_code in (3, 4) and last:
        return last
    if seen.exit_code is not None and seen.exit_code < 0:
        return f"The model server was ended by {_signal_named(-seen.exit_code)}"
    code = "" if seen.exit_code is None else f" with exit code {seen.exit_code}"
    return f"The model server ended{code}." + (f" It said last: {last}" if last else "")


def _signal_named(number: int) -> str:
    """The signal that ended a process, with what is likely behind it."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number in (signal.SIGKILL, signal.SIGABRT):
        return f"{name}. If it needs more memory, give it more in the settings."
    return (
        f"{name}: code of the model or of a library crashed. Save the model again with the "
        "versions that serve it, or look at the log."
    )

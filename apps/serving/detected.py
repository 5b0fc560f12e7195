"""What looking into a file finds."""

from dataclasses import dataclass, field


class NotAModel(Exception):
    """The file is nothing that can be served; the message says what it looks like."""


@dataclass(frozen=True, slots=True)
class Detected:
    """Framework, file format, and what the file says of itself."""

    framework: str
    format: str
    framework_version: str = ""
    features: tuple[str, ...] = ()
    problem_type: str = ""
    notes: tuple[str, ...] = field(default=())

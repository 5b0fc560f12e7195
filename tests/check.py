"""All checks in one command: lint, format, layers, types, then the tests.

    python tests/check.py [--static]

Stops at the first step that fails and says which. `--static` leaves the tests out. Tests start
real processes with real time limits; the few that fail on a busy machine run once more by
themselves, and the end names them. What fails twice, or fails with many others, has failed.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STATIC = [
    ("lint", [BIN / "ruff", "check", "."]),
    ("format", [BIN / "ruff", "format", "--check", "."]),
    ("layers", [BIN / "lint-imports", "--no-cache"]),
    ("types", [BIN / "mypy"]),
]
PYTEST = [sys.executable, "-m", "pytest"]
TESTS = [
    ("unit tests", "not slow and not browser"),
    ("slow and browser tests", "slow or browser"),
]
FAILED = 1  # pytest's code for tests that failed, none for other reasons
FEW = 8


def main() -> int:
    for name, command in STATIC:
        if code := timed(name, lambda command=command: run(command)):
            return code
    again: list[str] = []
    for name, marked in [] if "--static" in sys.argv else TESTS:
        if code := timed(name, lambda name=name, marked=marked: tested(name, marked, again)):
            return code
    if again:
        print("Failed at first and passed when run alone:", *again, sep="\n  ", flush=True)
    return 0


def timed(name: str, act: Callable[[], int]) -> int:
    """The exit code of a step, between its name and its time."""
    print(f"── {name}", flush=True)
    started = time.monotonic()
    code = act()
    print(f"   {time.monotonic() - started:.0f} s", flush=True)
    return code


def run(command: Sequence[str | Path]) -> int:
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, cwd=ROOT, env=environment).returncode


def tested(name: str, marked: str, again: list[str]) -> int:
    """Runs tests in two processes, and the few that fail once more in one; adds these to `again`
    where they pass then."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        written = f"--junit-xml={report.name}"
        code = run([*PYTEST, "-n", "2", "--dist", "loadfile", "-m", marked, written])
        if not code:
            return 0
        failed = failures(Path(report.name))
        if code == FAILED and 0 < len(failed) <= FEW:
            print(f"── {name}: what failed, alone", flush=True)
            code = run([*PYTEST, *failed])
        lines = [f"{test} {reason}" for test, reason in failed.items()]
        if code:
            print(f"{name} failed", *lines, sep="\n  ", flush=True)
        else:
            again += lines
        return code


def failures(report: Path) -> dict[str, str]:
    """The tests that failed, each with the first line of its reason; repeated at the very end,
    where a log that was cut still shows them."""
    if not report.read_bytes():
        return {}
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        for fault in [*case.findall("failure"), *case.findall("error")]:
            reason = (fault.get("message") or "").splitlines()[:1]
            found[address(case)] = " ".join(reason)
    return found


def address(case: ElementTree.Element) -> str:
    """How pytest is asked for a test: its file, its class if any, its name."""
    parts = str(case.get("classname")).split(".")
    length = len(parts)
    while length and not ROOT.joinpath(*parts[:length]).with_suffix(".py").is_file():
        length -= 1
    file = Path(*parts[:length]).with_suffix(".py")
    return "::".join([str(file), *parts[length:], str(case.get("name"))])


if __name__ == "__main__":
    sys.exit(main())

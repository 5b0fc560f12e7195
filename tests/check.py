"""All checks in one command: lint, format, layers, types, then the tests.

    python tests/check.py [--static]

Stops at the first step that fails and says which. `--static` leaves the tests out.
"""

import os
import subprocess
import sys
import tempfile
import time
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
PYTEST = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile"]
TESTS = [
    ("unit tests", [*PYTEST, "-m", "not slow and not browser"]),
    ("slow and browser tests", [*PYTEST, "-m", "slow or browser"]),
]


def main() -> int:
    steps = STATIC if "--static" in sys.argv else STATIC + TESTS
    for name, command in steps:
        print(f"── {name}", flush=True)
        started = time.monotonic()
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        with tempfile.NamedTemporaryFile(suffix=".xml") as report:
            if command[: len(PYTEST)] == PYTEST:
                command = [*command, f"--junit-xml={report.name}"]
            arguments = [str(part) for part in command]
            code = subprocess.run(arguments, cwd=ROOT, env=environment).returncode
            if code:
                print(f"{name} failed", *failures(Path(report.name)), sep="\n  ", flush=True)
                return code
        print(f"   {time.monotonic() - started:.0f} s", flush=True)
    return 0


def failures(report: Path) -> list[str]:
    """The tests that failed, each with the first line of its reason; repeated at the very end,
    where a log that was cut still shows them."""
    if not report.read_bytes():
        return []
    lines = []
    for case in ElementTree.parse(report).iter("testcase"):
        for found in [*case.findall("failure"), *case.findall("error")]:
            reason = (found.get("message") or "").splitlines()[:1]
            lines.append(f"{case.get('classname')}::{case.get('name')} {' '.join(reason)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())

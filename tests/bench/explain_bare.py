"""A running explainer's methods by themselves: no server, no gateway, no record.

Run as `python -m tests.bench.explain_bare spec.json` by the interpreter of an explainer's server
it loads what that server has loaded. Each line of its input is one call, each line of its output
what the call took.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from apps.serving.explaining import Explanations, Job
from apps.serving.loaders import load
from apps.serving.spec import ServerSpec

ROOT = Path(__file__).resolve().parent.parent.parent
_LONGEST_SECONDS = 600.0
_READY = "ready\n"


class Bare:
    """The other process."""

    def __init__(self, interpreter: str, spec: Path) -> None:
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [interpreter, "-W", "ignore", "-m", "tests.bench.explain_bare", str(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | threads,
            text=True,
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != _READY:
            raise RuntimeError(f"The methods could not be loaded from {spec}")

    def call(self, method: str, instances: list[Any], outputs: list[Any]) -> tuple[float, float]:
        """Milliseconds by the clock, and of the processor, for one call."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"method": method, "instances": instances, "outputs": outputs}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        took, worked = json.loads(self.process.stdout.readline())
        return took, worked

    def close(self) -> None:
        self.process.communicate(timeout=30)


def main() -> None:
    spec = ServerSpec.load(Path(sys.argv[1]))
    explanations = Explanations(load(spec), spec)
    explanations.check()
    sys.stdout.write(_READY)
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        job = Job(_LONGEST_SECONDS)
        job.served = asked["outputs"]
        started, before = time.perf_counter(), time.process_time()
        explanations.explained(asked["instances"], [asked["method"]], job)
        took = time.perf_counter() - started, time.process_time() - before
        sys.stdout.write(json.dumps([1000 * each for each in took]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

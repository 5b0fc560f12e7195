"""Runs a command and ends it with its builder: `python -I keeper.py command …`.

Standard library alone. The builder holds the other end of standard input. However the builder
ends, a kill included, that pipe closes, and the whole process group ends with it.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    watch = threading.Thread(target=_end_with_builder, daemon=True)
    watch.start()
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_with_builder() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())

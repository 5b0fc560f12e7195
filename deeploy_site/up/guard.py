"""Outlives the supervisor and stops what it started: `guard.py VAR_DIR DESCRIPTOR MODE`.

The supervisor holds the other end of a pipe. However it ends, a kill included, the pipe closes
and the guard wakes. Works alike on Linux and macOS, which a parent-death signal does not.
"""

import os
import sys
from pathlib import Path

from deeploy_site.up.leftovers import end_everything


def main() -> None:
    var_dir, descriptor, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    while os.read(descriptor, 1):
        pass
    own_record = var_dir / "run" / "guard.json"
    own_record.unlink(missing_ok=True)
    end_everything(var_dir, embedded=mode == "embedded")


if __name__ == "__main__":
    main()

"""Keeps the last of what a model server says. Run with `python -I -S log_keeper.py FILE`.

Standard library alone. It reads its standard input to the end and writes it to FILE; a full FILE
becomes FILE.1, so that both together are bounded, however much is said. It ends with the last
process that holds the other end of the pipe.
"""

import os
import signal
import sys

FULL_BYTES = 4 * 1024**2
_READ_BYTES = 64 * 1024


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    keep(sys.stdin.fileno(), sys.argv[1])


def keep(source: int, path: str) -> None:
    """Writes what comes from the descriptor `source` until it is closed.

    A full disk loses lines of the log, never the model server, which would wait for us.
    """
    target = _open(path)
    size = os.fstat(target).st_size
    while data := os.read(source, _READ_BYTES):
        if size + len(data) > FULL_BYTES:
            os.close(target)
            os.replace(path, f"{path}.1")
            target, size = _open(path), 0
        try:
            size += os.write(target, data)
        except OSError:
            continue


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


if __name__ == "__main__":
    main()

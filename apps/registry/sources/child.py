"""The process that fetches: one job from standard input, then the end."""

import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings

from apps.core.errors import DomainError
from apps.core.outbound import OutboundError, guard_process
from apps.registry.sources import files, git, mlflow, trial

_ACTS: dict[str, Callable[[dict[str, Any], Callable[[str], None]], Any]] = {
    "git": git.fetch,
    "files": files.fetch,
    "mlflow": mlflow.fetch,
    "trial": trial.attempt,
}


def main() -> None:
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_the_parent, daemon=True).start()
    settings.configure(**job["settings"])
    limit = int(job["maxBytes"]) + 1024**2
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    guard_process()
    try:
        _say({"result": _ACTS[job["act"]](job, lambda line: _say({"log": line}))})
    except DomainError as error:
        _say({"error": error.message})
    except Exception as error:
        _say({"error": _words(error)})


def _words(error: BaseException) -> str:
    """The refusal of the guard where that lies beneath, else what the library said."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OutboundError):
            return cause.message
        cause = cause.__cause__ or cause.__context__
    return f"The fetch failed: {type(error).__name__}: {error}"[:900]


def _die_with_the_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

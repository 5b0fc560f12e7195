"""Fetches the artifact, checks it, then becomes the model server: `python -m apps.serving.fetch`.

FETCH_URL is where it lies, FETCH_SHA256 what it must be, FETCH_TARGET where it goes, FETCH_MORE a
JSON list of the same for what an explainer reads beside it; the arguments are the model server's
own. Exits with 3, the reason on standard error, where that fails.
"""

import hashlib
import json
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError
from urllib.request import urlopen

FETCH_FAILED = 3
_CHUNK_BYTES = 1024**2
_TIMEOUT_SECONDS = 60


class FetchFailed(Exception):
    """The artifact could not be fetched, or is another one."""


def fetch(url: str, sha256: str, target: Path) -> None:
    """Writes the file to `target`. Raises FetchFailed, and leaves nothing."""
    digest = hashlib.sha256()
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as answer, target.open("wb") as file:  # noqa: S310
            while chunk := answer.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
    except (URLError, OSError) as error:
        target.unlink(missing_ok=True)
        raise FetchFailed(f"The artifact could not be fetched: {error}") from error
    if digest.hexdigest() != sha256:
        target.unlink(missing_ok=True)
        raise FetchFailed(f"The artifact that was fetched is not the one with SHA-256 {sha256}")


def main(environment: MutableMapping[str, str]) -> NoReturn:
    """Takes the address out of the environment, so that the model server does not see it."""
    url, sha256 = environment.pop("FETCH_URL"), environment.pop("FETCH_SHA256")
    target = Path(environment.pop("FETCH_TARGET"))
    more = json.loads(environment.pop("FETCH_MORE", "[]"))
    try:
        fetch(url, sha256, target)
        for each in more:
            fetch(each["url"], each["sha256"], Path(each["target"]))
    except FetchFailed as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(FETCH_FAILED)
    command = [sys.executable, "-m", "apps.serving", *sys.argv[1:]]
    os.execve(sys.executable, command, dict(environment))  # noqa: S606


if __name__ == "__main__":
    main(os.environ)

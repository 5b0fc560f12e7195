"""What contracts are tested against: a served deployment; and the environments of clients."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.contracts.client_venv import python_with
from tests.predictions.gateway.conftest import served

__all__ = ["served"]
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def python_or_skip(package: str) -> Path:
    """The Python that has the package; REQUIRE_CLIENT=1 turns a machine without into a failure."""
    try:
        return python_with(package)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        if os.environ.get("REQUIRE_CLIENT") == "1":
            raise
        pytest.skip(f"{package} cannot be installed here: {error}")


def run_script(python: Path, script: Path, argument: str) -> str:
    """What a script prints that runs in a client's environment, without proxies."""
    free = {name: value for name, value in os.environ.items() if name.upper() not in _PROXIES}
    result = subprocess.run(
        [str(python), str(script), argument], capture_output=True, text=True, timeout=120, env=free
    )
    assert result.returncode == 0, result.stderr
    return result.stdout

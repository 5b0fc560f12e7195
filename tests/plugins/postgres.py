"""One embedded PostgreSQL for a test session, in a directory of its own."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

_var_dir = Path(tempfile.mkdtemp(prefix="deeploy-test-"))
_var_dir.chmod(0o755)
os.environ["VAR_DIR"] = str(_var_dir)
os.environ["PLAIN_STATIC_FILES"] = "1"
os.environ.pop("PRODUCTION", None)


# A worker of a parallel run inherits the address of the session that started it, and would stop
# that server under the others; it gets one of its own.
if os.environ.get("PYTEST_XDIST_WORKER") and os.environ.pop("TEST_DATABASE_IS_OURS", ""):
    del os.environ["DATABASE_URL"]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    from deeploy_site import embedded_postgres

    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = embedded_postgres.start(_var_dir, durable=False)
        os.environ["TEST_DATABASE_IS_OURS"] = "1"


def pytest_unconfigure() -> None:
    from deeploy_site import embedded_postgres

    embedded_postgres.stop(_var_dir)
    shutil.rmtree(_var_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def var_dir_of_tests() -> Path:
    """Where the test session keeps its data and its server."""
    return _var_dir

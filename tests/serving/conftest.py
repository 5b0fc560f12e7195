"""Environments that tests of loaders ask are left when the session ends."""

from collections.abc import Iterator

import pytest

from tests.serving import elsewhere


@pytest.fixture(scope="session", autouse=True)
def _workers() -> Iterator[None]:
    yield
    elsewhere.close_all()

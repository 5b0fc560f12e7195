"""The environments that come with the application, each built once a machine for the tests.

They are made by the very builder that deployments use, into the folder that the variable
TEST_ENVIRONMENTS names, and found again by their digest. One that cannot be built fails its tests.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.test import override_settings

from apps.deployments.environments import lists
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.venv import VenvBuilder, folder
from apps.deployments.models import Environment

PLACE = Path(os.environ.get("TEST_ENVIRONMENTS", "/tmp/deeploy-environments"))


def interpreter(name: str) -> Path:
    """The Python of the environment of this name, built where it is not there yet."""
    requirements = lists.canonical(lists.pins_of(name))
    digest = lists.digest_of(lists.PYTHON, requirements)
    environment = Environment(
        name=name, python=lists.PYTHON, requirements=requirements, digest=digest
    )
    PLACE.mkdir(parents=True, exist_ok=True)
    with override_settings(VAR_DIR=PLACE), _alone(name):
        location, builder = folder() / digest, VenvBuilder()
        if not builder.exists(str(location)):
            with BuildLog(PLACE / f"{name}.log") as log:
                builder.build(environment, log, lambda: False)
    return location / "bin" / "python"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """While the block runs no other process builds this environment."""
    with (PLACE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""The environments that come with the application, each built once a machine for the tests.

They are made by the very builder that deployments use, into the folder that the variable
TEST_ENVIRONMENTS names, and found again by their digest. One that cannot be built fails its tests.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.test import override_settings

from apps.deployments.environments import lists, pip
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.venv import VenvBuilder, folder
from apps.deployments.models import Environment

PLACE = Path(os.environ.get("TEST_ENVIRONMENTS", "/tmp/deeploy-environments"))


def interpreter(name: str) -> Path:
    """The Python of the environment of this name, built where it is not there yet."""
    requirements = lists.canonical(lists.pins_of(name))
    digest = lists.digest_of(lists.PYTHON, requirements)
    return built(
        Environment(name=name, python=lists.PYTHON, requirements=requirements, digest=digest)
    )


def built(environment: Environment) -> Path:
    """The Python of an environment; what its list leaves open is resolved once a machine."""
    PLACE.mkdir(parents=True, exist_ok=True)
    name = environment.name.replace(",", "").replace(" ", "-")
    with override_settings(VAR_DIR=PLACE), _alone(name), BuildLog(PLACE / f"{name}.log") as log:
        if not lists.is_resolved(environment):
            environment = _resolved(environment, log)
        location, builder = folder() / environment.digest, VenvBuilder()
        if not builder.exists(str(location)):
            builder.build(environment, log, lambda: False)
    return location / "bin" / "python"


def _resolved(environment: Environment, log: BuildLog) -> Environment:
    """The environment with exact versions, which are kept beside it."""
    kept = PLACE / f"{environment.digest}.txt"
    if not kept.exists():
        lines = environment.requirements.splitlines()
        with tempfile.TemporaryDirectory(dir=PLACE) as work:
            pins = pip.resolve(lines, work=Path(work), log=log, cancelled=lambda: False)
        kept.write_text(lists.canonical([str(pin) for pin in pins]))
    requirements = kept.read_text()
    return Environment(
        name=environment.name,
        python=environment.python,
        requirements=requirements,
        digest=lists.digest_of(environment.python, requirements),
    )


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """While the block runs no other process builds this environment."""
    with (PLACE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

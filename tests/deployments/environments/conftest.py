"""Environments of tiny packages from a folder, without any network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.deployments.environments import builds, lists, venv
from apps.deployments.models import Environment, EnvironmentBuild
from tests.deployments.environments.wheels import make_wheel

Make = Callable[..., EnvironmentBuild]


@pytest.fixture
def wheels(tmp_path: Path, settings: Any) -> Path:
    """The folder from which packages come; the settings name it."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "little", "1.0")
    make_wheel(folder, "little", "2.0")
    settings.PACKAGE_WHEELS = str(folder)
    settings.PACKAGE_INDEX_URL = ""
    return folder


@pytest.fixture(autouse=True)
def clean_folder() -> Iterator[None]:
    yield
    shutil.rmtree(venv.folder(), ignore_errors=True)


@pytest.fixture
def make(db: None) -> Make:
    """An environment of these lines with a build that waits."""

    def made(*lines: str, resolved: bool = True, name: str = "Small") -> EnvironmentBuild:
        requirements = lists.canonical(list(lines))
        environment = Environment.objects.create(
            name=name,
            python=lists.PYTHON,
            requirements=requirements,
            digest=lists.digest_of(lists.PYTHON, requirements, resolved=resolved),
            last_used_at=timezone.now(),
        )
        now = timezone.now()
        return builds.ensure(environment=environment, kind=EnvironmentBuild.Kind.VENV, now=now)

    return made

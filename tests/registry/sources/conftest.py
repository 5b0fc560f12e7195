"""A repository with a contract folder, served over HTTP, and what may be called."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import User, Workspace
from apps.registry.imports import performing, services
from apps.registry.models import Credential, Import
from tests.registry.sources.servers import GitTree, git_backend, http


@pytest.fixture(autouse=True)
def allowed(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.IMPORT_SECONDS = 60


@pytest.fixture
def tree(tmp_path: Path) -> GitTree:
    return GitTree(tmp_path / "git")


@pytest.fixture
def git_url(tree: GitTree) -> Iterator[str]:
    with http(git_backend(tree.bare.parent)) as url:
        yield f"{url}/models.git"


@pytest.fixture
def imported(workspace: Workspace, operator: User) -> Callable[..., Import]:
    """Starts an import and carries it out, as the worker does."""

    def carry_out(
        source: dict[str, Any], credential: Credential | None = None, **given: Any
    ) -> Import:
        job = services.start_import(
            workspace=workspace, source=source, credential=credential, by=operator, **given
        )
        performing.perform(job.id)
        job.refresh_from_db()
        return job

    return carry_out

"""What makes environments: one builder for each kind, one row in the table."""

from collections.abc import Callable
from functools import cache
from typing import Protocol

from apps.deployments.backends.images import ImageBuilder
from apps.deployments.environments.build_log import BuildLog
from apps.deployments.environments.outcome import Built
from apps.deployments.environments.venv import VenvBuilder
from apps.deployments.models import Environment, EnvironmentBuild


class Builder(Protocol):
    """Makes environments of one kind from a resolved list. Builds of it run one at a time."""

    kind: str

    def build(
        self, environment: Environment, log: BuildLog, cancelled: Callable[[], bool]
    ) -> Built:
        """Makes it anew. Raises BuildFailed or BuildCancelled, and then leaves nothing."""
        ...

    def exists(self, location: str) -> bool:
        """True where all of it is still there; a look, cheap enough for every start."""
        ...

    def remove(self, location: str) -> None:
        """Takes it away; may be repeated."""
        ...


_BUILDERS: dict[str, Callable[[], Builder]] = {
    VenvBuilder.kind: VenvBuilder,
    ImageBuilder.kind: ImageBuilder,
}
_KIND_OF_BACKEND = {"process": EnvironmentBuild.Kind.VENV}


@cache
def builder_of(kind: str) -> Builder:
    return _BUILDERS[kind]()


def kind_for(backend: str) -> str:
    """The kind of environment in which a backend runs components: containers take images."""
    return _KIND_OF_BACKEND.get(backend, EnvironmentBuild.Kind.IMAGE)

"""What runs model servers: start, look, stop, read the log."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from uuid import UUID

from apps.serving.spec import ServerSpec

Handle = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Who pulls an image from a private registry."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CustomImage:
    """A container that brings its own server. `variables` are secret until it gets them."""

    reference: str
    port: int = 8080
    args: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    login: RegistryLogin | None = None


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """One model server to start. The backend fills in where it listens.

    `environment` is the location of a built environment of the backend's kind: a directory with
    an interpreter, or an image; empty for the application's own packages. With `image` the
    container is somebody else's and `server` says nothing. `labels` tell people what a container
    belongs to.
    """

    replica_id: UUID
    server: ServerSpec
    memory_bytes: int
    needs_isolation: bool = False
    environment: str = ""
    image: CustomImage | None = None
    cpus: float = 1.0
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a backend sees of a replica now.

    `preparing` is running in the making: an image is pulled or built. `exit_code` is None where
    nobody knows it, and negative for a signal; `reason` says in words what the backend knows.
    """

    state: Literal["preparing", "running", "exited"]
    exit_code: int | None = None
    memory_bytes: int = 0
    reason: str = ""


class BackendError(Exception):
    """A replica could not be started, or its backend is away; the message says what to do."""


class Backend(Protocol):
    """Runs replicas. A handle is JSON, kept on the row, and enough to find a replica again.

    All methods but `start` of the process backend may raise BackendError while an engine is away.
    """

    name: str

    def start(self, spec: ReplicaSpec) -> Handle:
        """Starts a model server and returns at once. Raises BackendError."""
        ...

    def address(self, handle: Handle) -> str:
        """`unix:/path` or `http://host:port`; empty while it is not known yet."""
        ...

    def observe(self, handle: Handle) -> Observation: ...

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """Asks the replica to finish, waits, then ends it; frees what it used. May be repeated."""
        ...

    def orphans(self, known: list[Handle]) -> list[Handle]:
        """Replicas of this installation that run and are none of the known ones."""
        ...

    def log(self, handle: Handle, *, lines: int = 200) -> str:
        """The last lines that the replica wrote."""
        ...

    def image(self, handle: Handle) -> str:
        """The image that runs, by digest; empty for backends without images."""
        ...

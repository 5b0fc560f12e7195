"""The Docker Engine: one client, time limits on every call, and failures in words."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import requests
from django.conf import settings
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from apps.deployments.backends.base import BackendError

INSTALLATION, REPLICA, ROLE = "deeploy.installation", "deeploy.replica", "deeploy.role"
_API_VERSION = "1.41"
_CALL_SECONDS = 15
_LOOK_AGAIN_SECONDS = 1.0


class EngineAway(BackendError):
    """The engine does not answer."""


class Missing(BackendError):
    """The engine knows no such container, service or image."""


class Engine:
    """Calls to one engine. After a failure to reach it, calls fail at once for a second, so that a
    dead engine does not hold up the controller once for every replica."""

    def __init__(self, timeout: float = _CALL_SECONDS) -> None:
        self.timeout = timeout
        self._client: docker.DockerClient | None = None
        self._away_until = 0.0

    @contextmanager
    def calls(self) -> Iterator[docker.DockerClient]:
        """The client, for a few calls. Raises EngineAway, Missing or BackendError."""
        if time.monotonic() < self._away_until:
            raise self._away("it did not answer a moment ago")
        try:
            if self._client is None:
                self._client = self.connect(self.timeout)
            yield self._client
        except (ImageNotFound, NotFound) as error:
            raise Missing(reason_of(error)) from error
        except APIError as error:
            raise BackendError(f"The Docker Engine refused: {reason_of(error)}") from error
        except (DockerException, requests.RequestException, OSError) as error:
            self._away_until = time.monotonic() + _LOOK_AGAIN_SECONDS
            raise self._away(error) from error

    def connect(self, timeout: float | None) -> docker.DockerClient:
        """A client of its own, for calls that last; close it."""
        path = Path(settings.DOCKER_HOST.removeprefix("unix://"))
        if settings.DOCKER_HOST.startswith("unix://") and not path.exists():
            raise FileNotFoundError(f"there is no {path}")
        return docker.DockerClient(
            base_url=settings.DOCKER_HOST, version=_API_VERSION, timeout=timeout, max_pool_size=32
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def check(self) -> None:
        """Raises EngineAway where the engine does not answer."""
        with self.calls() as client:
            client.ping()

    def _away(self, cause: Any) -> EngineAway:
        return EngineAway(
            f"The Docker Engine at {settings.DOCKER_HOST} does not answer: {cause}. Start it, or "
            "set DOCKER_HOST to where it listens; replicas come back by themselves."
        )


def reason_of(error: APIError) -> str:
    """The engine's own sentence."""
    return str(error.explanation or error).strip()


def own_labels(role: str, **more: str) -> dict[str, str]:
    """The labels by which everything of this installation is found again."""
    return {INSTALLATION: settings.INSTALLATION_ID, ROLE: role} | more


def own_filter(*roles: str) -> dict[str, list[str]]:
    """An engine's filter for what carries our label; with one role, of that role alone."""
    labels = [f"{INSTALLATION}={settings.INSTALLATION_ID}"]
    return {"label": [*labels, *(f"{ROLE}={role}" for role in roles)]}

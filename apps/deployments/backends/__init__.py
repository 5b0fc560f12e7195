"""Backends by name."""

from functools import cache
from importlib import import_module
from typing import cast

from apps.deployments.backends.base import Backend

_BACKENDS = {
    "process": "apps.deployments.backends.process.ProcessBackend",
    "docker": "apps.deployments.backends.docker.DockerBackend",
    "swarm": "apps.deployments.backends.swarm.SwarmBackend",
}
NAMES = tuple(_BACKENDS)


@cache
def backend_named(name: str) -> Backend:
    """The backend called `name`; one object per process, which remembers its children."""
    if name not in _BACKENDS:
        raise LookupError(f"There is no backend called {name}.")
    module, _, kind = _BACKENDS[name].rpartition(".")
    return cast(Backend, getattr(import_module(module), kind)())

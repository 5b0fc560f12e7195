"""Pulls custom images: progress in the log, one digest for all replicas of a revision."""

from collections.abc import Callable
from typing import Any

import requests
from docker.errors import APIError, DockerException
from docker.utils import parse_repository_tag

from apps.deployments.backends.base import BackendError, CustomImage
from apps.deployments.backends.engine import Engine, Missing, reason_of
from apps.deployments.environments.outcome import Log

_SILENT_SECONDS = 120
_TOO_MANY = (None, "Downloading", "Extracting", "Waiting")


def ensure(engine: Engine, image: CustomImage, log: Log, cancelled: Callable[[], bool]) -> str:
    """The id of the image, pulled where the engine has it not. Raises BackendError."""
    try:
        return _id(engine, image.reference)
    except Missing:
        _pull(engine, image, log, cancelled)
        return _id(engine, image.reference)


def pinned(attributes: dict[str, Any]) -> str:
    """The reference that always means this image: its digest in the registry, or its id."""
    digests = attributes.get("RepoDigests") or []
    return str(digests[0] if digests else attributes["Id"])


def _id(engine: Engine, reference: str) -> str:
    with engine.calls() as client:
        return str(client.images.get(reference).id)


def _pull(engine: Engine, image: CustomImage, log: Log, cancelled: Callable[[], bool]) -> None:
    log.write(f"Pulling {image.reference}")
    login = image.login
    auth = {"username": login.username, "password": login.password} if login else None
    repository, tag = parse_repository_tag(image.reference)
    client = engine.connect(timeout=_SILENT_SECONDS)
    try:
        stream = client.api.pull(
            repository, tag or "latest", stream=True, decode=True, auth_config=auth
        )
        for entry in stream:
            if cancelled():
                raise BackendError(f"The pull of {image.reference} was given up.")
            if "error" in entry:
                raise BackendError(_refused(image.reference, str(entry["error"])))
            if entry.get("status") not in _TOO_MANY:
                log.write(f"{entry.get('id', '')} {entry['status']}".strip())
    except (DockerException, requests.RequestException) as error:
        raise BackendError(_refused(image.reference, _words(error))) from error
    finally:
        client.close()


def _words(error: Exception) -> str:
    return reason_of(error) if isinstance(error, APIError) else str(error)


def _refused(reference: str, cause: str) -> str:
    return (
        f"The image {reference} cannot be pulled: {cause}. Check its name and tag, and the "
        "credential with which its registry is asked."
    )

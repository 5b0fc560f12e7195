"""Images for model servers: packages in one, the server's code in a thin one on top.

Packages are installed in a first stage, so that an index address with a password in it, a CA
bundle and a folder of wheels leave no trace in the image that runs. The thin image is made when a
replica starts: after an update of the product it is new, and the packages need no new build.
"""

import hashlib
import io
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Protocol
from uuid import uuid4

import requests
from django.conf import settings
from docker.errors import DockerException
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from apps.deployments.backends import dockerfiles
from apps.deployments.backends.base import BackendError
from apps.deployments.backends.dockerfiles import BUILD
from apps.deployments.backends.engine import (
    INSTALLATION,
    ROLE,
    Engine,
    EngineAway,
    Missing,
    own_labels,
)
from apps.deployments.environments import pip_errors
from apps.deployments.environments.outcome import (
    TOO_LONG,
    BuildCancelled,
    BuildFailed,
    Built,
    Log,
)

ENVIRONMENT = "deeploy.environment"
OWN_PACKAGES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu", "xgboost", "skops", "joblib",
                "orjson", "httptools", "uvloop", "shap", "lime")  # fmt: skip
_PUSH_SECONDS = 60 * 60
_LOOK_SECONDS = 0.5
_PRUNE_SECONDS = 300
log_ = logging.getLogger(__name__)


class PinnedList(Protocol):
    """An environment: `digest` names it, `requirements` has one `name==version` a line."""

    @property
    def digest(self) -> str: ...

    @property
    def requirements(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Packages:
    """A pinned list that is in no table."""

    digest: str
    requirements: str


class ImageBuilder:
    """Builds environments as images of one engine."""

    kind: str = "image"

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self._making = threading.Lock()

    def build(self, environment: PinnedList, log: Log, cancelled: Callable[[], bool]) -> Built:
        """An image with the packages of `environment`. Raises BuildFailed, BuildCancelled."""
        tag = _environment_tag(environment)
        mark = uuid4().hex
        labels = own_labels("environment", **{ENVIRONMENT: tag.rpartition(":")[2]})
        files = dockerfiles.environment(environment.requirements, mark, labels)
        context = dockerfiles.context(files)
        try:
            self.engine.check()
            self._run(context, tag, mark, log, cancelled, environment.requirements)
            self._push(tag, log)
            size = self._size(tag)
        except BackendError as error:
            raise BuildFailed(str(error)) from error
        finally:
            self._drop_stages(mark)
        log.write(f"Ready: {size / 1024**2:,.0f} MB as {tag}")
        return Built(tag, size)

    def exists(self, location: str) -> bool:
        """True where the engine has the image."""
        try:
            with self.engine.calls() as client:
                client.images.get(location)
        except Missing:
            return False
        return True

    def remove(self, location: str) -> None:
        """Removes the image and the thin ones on top; may be repeated."""
        digest = location.rpartition(":")[2]
        for tag in [*self._thin_tags(digest), location]:
            try:
                with self.engine.calls() as client:
                    client.images.remove(tag)
            except Missing:
                continue

    def of_own_packages(self, log: Log, cancelled: Callable[[], bool]) -> str:
        """The image with exactly the application's own packages; built where it is not there."""
        own = own_packages()
        location = _environment_tag(own)
        with self._making:
            if not self.exists(location):
                log.write(
                    "Building an image with the application's own packages; once for each release"
                )
                self.build(own, log, cancelled)
        return location

    def for_server(self, environment: str, log: Log, cancelled: Callable[[], bool]) -> str:
        """The image that serves with `environment`, or with our own packages where it is empty.

        Raises BackendError where it cannot be made.
        """
        try:
            return self.with_server(environment or self.of_own_packages(log, cancelled), log)
        except (BuildFailed, BuildCancelled) as error:
            raise BackendError(str(error)) from error

    def with_server(self, location: str, log: Log) -> str:
        """The image `location` with the model server's code of today."""
        code = dockerfiles.serving_code()
        environment = location.rpartition(":")[2]
        tag = _tag("server", f"{environment}-{_code_digest(code)}")
        with self._making:
            if not self.exists(tag):
                labels = own_labels("server", **{ENVIRONMENT: environment})
                context = dockerfiles.context(dockerfiles.server(location, code, labels))
                self._run(context, tag, uuid4().hex, log, lambda: False)
                self._push(tag, log)
        return tag

    def sweep(self, living: Collection[str]) -> int:
        """Removes our images that no release of today starts from: package images that are not in
        `living`, and thin ones with code of another day. What a container uses stays."""
        kept = {*living, _environment_tag(own_packages())}
        code = f"-{_code_digest(dockerfiles.serving_code())}"
        bases = {tag.rpartition(":")[2] for tag in kept}
        removed = 0
        for tag, role in self._own_tags():
            name = tag.rpartition(":")[2]
            thin = role == "server"
            if name.removesuffix(code) in bases if thin else tag in kept:
                continue
            removed += self._remove_unused(tag)
        return removed

    def _own_tags(self) -> list[tuple[str, str]]:
        """Tags and roles of what this installation built; the thin images first, as they stand on
        the others."""
        labels = [f"{INSTALLATION}={settings.INSTALLATION_ID}", ENVIRONMENT]
        with self.engine.calls() as client:
            images = client.images.list(filters={"label": labels})
            found = [(tag, image.labels.get(ROLE, "")) for image in images for tag in image.tags]
        return sorted(found, key=lambda entry: entry[1] != "server")

    def _remove_unused(self, tag: str) -> int:
        try:
            with self.engine.calls() as client:
                client.images.remove(tag)
        except EngineAway:
            raise
        except BackendError:
            return 0  # a container runs from it, or somebody was quicker
        return 1

    def _run(
        self,
        context: bytes,
        tag: str,
        mark: str,
        log: Log,
        cancelled: Callable[[], bool],
        wanted: str = "",
    ) -> None:
        """One build, its output line by line to `log`, looked at twice a second for an end."""
        lines: queue.Queue[str | None] = queue.Queue()
        failure: list[str] = []
        reader = threading.Thread(
            target=self._read_build, args=(context, tag, lines, failure), daemon=True
        )
        reader.start()
        deadline = time.monotonic() + settings.ENVIRONMENT_BUILD_SECONDS
        said: list[str] = []
        for line in _arriving(lines):
            if line:
                said.append(line)
                log.write(line)
            if cancelled():
                self._kill_build(mark)
                raise BuildCancelled("It was cancelled.")
            if time.monotonic() > deadline:
                self._kill_build(mark)
                cuda = pip_errors.of_cuda(wanted.splitlines(), "\n".join(said))
                raise BuildFailed(f"{TOO_LONG}{cuda}")
        if failure:
            raise _failure(failure[0], said, wanted)

    def _read_build(
        self, context: bytes, tag: str, lines: "queue.Queue[str | None]", failure: list[str]
    ) -> None:
        client = self.engine.connect(timeout=None)
        try:
            stream = client.api.build(
                fileobj=io.BytesIO(context), custom_context=True, tag=tag, rm=True, forcerm=True,
                decode=True, buildargs=dockerfiles.proxies(), network_mode=None,
            )  # fmt: skip
            for entry in stream:
                if "error" in entry:
                    failure.append(str(entry["error"]))
                for line in str(entry.get("stream", entry.get("status", ""))).splitlines():
                    lines.put(line.rstrip())
        except Exception as error:
            failure.append(str(error))
        finally:
            client.close()
            lines.put(None)

    def _kill_build(self, mark: str) -> None:
        """Ends the step that runs; the engine then gives the build up."""
        with self.engine.calls() as client:
            for container in client.containers.list(filters={"label": f"{BUILD}={mark}"}):
                container.kill()

    def _drop_stages(self, mark: str) -> None:
        """Removes what a first stage or a failed step left: it may hold the index's password."""
        client = self.engine.connect(timeout=_PRUNE_SECONDS)
        try:
            client.images.prune({"dangling": True, "label": [f"{BUILD}={mark}"]})
        except (DockerException, requests.RequestException) as error:
            log_.warning("The leftovers of an image build stay: %s", error)
        finally:
            client.close()

    def _push(self, tag: str, log: Log) -> None:
        """Gives the image to the registry from which a swarm's other nodes take it."""
        if not settings.IMAGE_REGISTRY:
            return
        log.write(f"Pushing {tag}")
        client = self.engine.connect(timeout=_PUSH_SECONDS)
        try:
            for entry in client.images.push(tag, stream=True, decode=True):
                if "error" in entry:
                    raise BuildFailed(f"The registry did not take {tag}: {entry['error']}")
        finally:
            client.close()

    def _size(self, tag: str) -> int:
        with self.engine.calls() as client:
            size: int = client.images.get(tag).attrs["Size"]
            return size

    def _thin_tags(self, environment: str) -> list[str]:
        labels = [f"{INSTALLATION}={settings.INSTALLATION_ID}", f"{ROLE}=server",
                  f"{ENVIRONMENT}={environment}"]  # fmt: skip
        with self.engine.calls() as client:
            images = client.images.list(filters={"label": labels})
            return [tag for image in images for tag in image.tags]


@cache
def own_packages() -> Packages:
    """What serves scikit-learn and XGBoost here, with all it needs, at the installed versions."""
    pins: dict[str, str] = {}
    waiting = [name for name in OWN_PACKAGES if _installed(name)]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in pins:
            continue
        found = metadata.distribution(name)
        pins[name] = found.version
        needs = [Requirement(text) for text in found.requires or []]
        waiting += [need.name for need in needs if not need.marker or need.marker.evaluate()]
    text = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))
    return Packages(hashlib.sha256(f"image {text}".encode()).hexdigest(), text)


def _code_digest(code: dict[str, bytes]) -> str:
    return hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest()[:12]


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _environment_tag(environment: PinnedList) -> str:
    """Named by content, so that installations that share an engine share the image."""
    content = f"{settings.DOCKER_BASE_IMAGE} {environment.digest}"
    return _tag("environment", hashlib.sha256(content.encode()).hexdigest()[:16])


def _tag(repository: str, name: str) -> str:
    return f"{settings.IMAGE_REGISTRY or 'deeploy'}/{repository}:{name}"


def _arriving(lines: "queue.Queue[str | None]") -> Iterator[str]:
    """The lines as they come, and an empty one now and then while none comes."""
    while True:
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            line = ""
        if line is None:
            return
        yield line


def _failure(error: str, said: list[str], wanted: str) -> BuildFailed:
    """What pip failed on where it said so, else the engine's own words."""
    lines = wanted.splitlines()
    cuda = pip_errors.of_cuda(lines, "\n".join([*said, error]))
    if not any(line.startswith("ERROR: ") for line in said):
        return BuildFailed(f"The image could not be built: {error}{cuda}")
    problem = pip_errors.explain(pip_errors.with_names(said, lines))
    return BuildFailed(f"{problem.message}{cuda}", missing=problem.missing)

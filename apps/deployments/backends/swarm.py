"""Model servers as services of a Docker Swarm: one service a replica.

A service of one task, not one service with a task a replica: the controller starts, checks,
drains and restarts replicas one by one on every backend, and a revision moves from the old to the
new only after the new one was checked, which a service's own rolling update cannot know. The
engine places the task; when its node is lost the task ends, the controller sees that and asks for
a service anew, which lands elsewhere. Names of services are not resolved and nothing is balanced
by Swarm: ports are published in host mode, and the gateway balances over the tasks' addresses.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from docker.errors import APIError, NotFound
from docker.types import (
    ConfigReference,
    ContainerSpec,
    DriverConfig,
    EndpointSpec,
    Mount,
    Placement,
    Resources,
    RestartPolicy,
    SecretReference,
    TaskTemplate,
    UpdateConfig,
)

from apps.deployments.backends import pulls
from apps.deployments.backends.base import BackendError, Handle, Observation, ReplicaSpec
from apps.deployments.backends.containers import (
    ARTIFACT_PATH,
    FETCHED_PATH,
    LOG_OPTIONS,
    PIDS,
    SPEC_PATH,
    TMP_BYTES,
    Listening,
    beside,
    ended,
    memory_of,
    server_inside,
    uid_for,
    variables,
)
from apps.deployments.backends.engine import REPLICA, Engine, own_filter, own_labels, reason_of
from apps.deployments.backends.images import ImageBuilder
from apps.deployments.backends.starting import Start, Starts, log_of
from apps.registry import storage
from apps.registry.links import signed_url

_PORT = 8080
_SECOND = 1_000_000_000
_GRACE_SECONDS = 10
_CPU_SHARED_BY = 10
_SERVICE = "deeploy.service"
_COMING = {"new", "allocated", "pending", "assigned", "accepted", "ready", "starting"}


class SwarmBackend:
    """Runs one service a replica, with its configuration and secrets as objects of the swarm."""

    name = "swarm"

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.images = ImageBuilder(self.engine)
        self.starts = Starts("swarm")

    def start(self, spec: ReplicaSpec) -> Handle:
        with self.engine.calls() as client:
            if not client.info()["Swarm"].get("ControlAvailable"):
                raise BackendError(
                    f"The Docker Engine at {settings.DOCKER_HOST} is no manager of a swarm; run "
                    "docker swarm init there, or set DOCKER_HOST to a manager."
                )
        name = f"deeploy-{settings.INSTALLATION_ID}-{spec.replica_id.hex[-12:]}-{uuid4().hex[:6]}"
        self.starts.begin(name, lambda start: self._launch(spec, name, start))
        return {"service": name, "isolation": {"uid": uid_for(spec), "container": "swarm"}}

    def address(self, handle: Handle) -> str:
        with self.engine.calls() as client:
            task = _newest(client, handle["service"])
            ports = task["Status"].get("PortStatus", {}).get("Ports") if task else None
            if not task or not ports:
                return ""
            node = client.api.inspect_node(task["NodeID"])
            return f"http://{node['Status']['Addr']}:{ports[0]['PublishedPort']}"

    def observe(self, handle: Handle) -> Observation:
        if (coming := self.starts.seen(handle["service"])) is not None:
            return coming
        with self.engine.calls() as client:
            tasks = _tasks(client, handle["service"])
        if tasks is None:
            gone = "The service is gone: somebody removed it, or its start was interrupted."
            return Observation("exited", reason=gone)
        # A service is there a moment before the swarm makes its task.
        return _observation(_last(tasks)) if tasks else Observation("preparing")

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        name = handle["service"]
        self.starts.end(name, grace_seconds + self.engine.timeout)
        with self.engine.calls() as client:
            for service in client.services.list(filters={"name": name}):
                service.remove()
            self._wait_for_containers(client, name, grace_seconds)
            mine = {"label": f"{_SERVICE}={name}"}
            for kept in [*client.configs.list(filters=mine), *client.secrets.list(filters=mine)]:
                kept.remove()
        self.starts.forget(name)

    def orphans(self, known: list[Handle]) -> list[Handle]:
        names = {handle.get("service") for handle in known}
        with self.engine.calls() as client:
            if not client.info()["Swarm"].get("ControlAvailable"):
                return []
            found = [
                service.name for service in client.services.list(filters=own_filter("replica"))
            ]
        return [
            {"service": name} for name in found if name not in names and name not in self.starts
        ]

    def log(self, handle: Handle, *, lines: int = 200) -> str:
        name = handle["service"]
        said = log_of(name, lines)
        try:
            with self.engine.calls() as client:
                task = _newest(client, name)
                if task and task["Status"].get("Err"):
                    said.append(task["Status"]["Err"])
                found = client.services.list(filters={"name": name})
                parts = found[0].logs(stdout=True, stderr=True, tail=lines) if found else []
                text = b"".join(parts).decode(errors="replace")
        except BackendError as error:
            text = str(error)
        return "\n".join([*said, *text.splitlines()][-lines:])

    def image(self, handle: Handle) -> str:
        with self.engine.calls() as client:
            service = client.services.list(filters={"name": handle["service"]})[0]
            used = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
            return pulls.pinned(client.images.get(used).attrs)

    def _launch(self, spec: ReplicaSpec, name: str, start: Start) -> None:
        image = self._image(spec, start)
        client = self.engine.connect(self.engine.timeout)
        try:
            if spec.image is not None and spec.image.login is not None:
                login, registry = spec.image.login, spec.image.reference.partition("/")[0]
                client.login(login.username, login.password, registry=registry)
            if not start.is_given_up():
                self._create(client, spec, name, image)
        except APIError as error:
            raise BackendError(f"The swarm refused the service: {reason_of(error)}") from error
        finally:
            client.close()

    def _image(self, spec: ReplicaSpec, start: Start) -> str:
        """The image's id where this is the only node that has it, else a name for all nodes."""
        if spec.image is not None:
            found = pulls.ensure(self.engine, spec.image, start, start.is_given_up)
            with self.engine.calls() as client:
                return pulls.pinned(client.images.get(found).attrs)
        tag = self.images.for_server(spec.environment, start, start.is_given_up)
        if settings.IMAGE_REGISTRY:
            return tag
        with self.engine.calls() as client:
            return str(client.images.get(tag).id)

    def _create(self, client: Any, spec: ReplicaSpec, name: str, image: str) -> None:
        labels = own_labels("replica", **{REPLICA: str(spec.replica_id)}, **spec.labels)
        container = _container(client, spec, name, image, labels)
        client.api.create_service(
            TaskTemplate(
                container,
                resources=_resources(spec),
                restart_policy=RestartPolicy(condition="none"),
                placement=Placement(constraints=settings.SWARM_CONSTRAINTS),
                log_driver=DriverConfig("json-file", LOG_OPTIONS),
            ),
            name=name,
            labels=labels,
            update_config=UpdateConfig(parallelism=1, order="start-first"),
            endpoint_spec=EndpointSpec(mode="dnsrr", ports=[_port(spec)]),
        )

    def _wait_for_containers(self, client: Any, name: str, seconds: float) -> None:
        """Waits for the containers on this node, then ends them; other nodes end theirs."""
        mine = {"label": f"com.docker.swarm.service.name={name}"}
        deadline = time.monotonic() + seconds
        while containers := client.containers.list(filters=mine):
            if time.monotonic() > deadline:
                for container in containers:
                    with suppress(NotFound):
                        container.remove(force=True, v=True)
            time.sleep(0.1)


def _newest(client: Any, service: str) -> dict[str, Any] | None:
    """The last task of a service; None where there is none, or no such service."""
    tasks = _tasks(client, service)
    return _last(tasks) if tasks else None


def _tasks(client: Any, service: str) -> list[dict[str, Any]] | None:
    """The tasks of a service; None where there is no such service."""
    try:
        found: list[dict[str, Any]] = client.api.tasks(filters={"service": service})
    except NotFound:
        return None
    return found


def _last(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    return max(tasks, key=lambda task: str(task["CreatedAt"]))


def _observation(task: dict[str, Any]) -> Observation:
    status = task["Status"]
    state, container = status["State"], status.get("ContainerStatus") or {}
    if state == "preparing":
        return Observation("preparing")
    if state in _COMING or state == "running":
        return Observation("running", memory_bytes=memory_of(container.get("PID") or 0))
    code = container.get("ExitCode")
    return ended(code, error="" if code else f"The task ended: {status.get('Err') or state}.")


def _container(
    client: Any, spec: ReplicaSpec, name: str, image: str, labels: dict[str, str]
) -> ContainerSpec:
    uid = uid_for(spec)
    common = {
        "user": f"{uid}:{uid}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "labels": labels,
        "stop_grace_period": _GRACE_SECONDS * _SECOND,
    }
    tmp = Mount("/tmp", None, type="tmpfs", tmpfs_size=TMP_BYTES, tmpfs_mode=0o1777)  # noqa: S108
    kept = {_SERVICE: name, **own_labels("replica")}
    if spec.image is not None:
        secrets, paths = _secrets(client, spec.image.variables, name, kept)
        own = {"HOME": "/tmp", "PORT": str(spec.image.port)}  # noqa: S108
        args = list(spec.image.args) or None
        return ContainerSpec(
            image, args=args, env=own | paths, secrets=secrets, mounts=[tmp], init=True, **common
        )
    found, fetch, artifact = _files(spec)
    inside = server_inside(spec, Listening(port=_PORT), artifact)
    data = json.dumps(asdict(inside)).encode()
    config = client.configs.create(name=f"{name}-spec", data=data, labels=kept)
    reference = ConfigReference(config.id, f"{name}-spec", filename=SPEC_PATH, mode=0o444)
    command = ["/opt/environment/bin/python", "-m", "apps.serving.fetch"] if fetch else None
    return ContainerSpec(
        image, command=command, args=["--spec", SPEC_PATH], env=variables(spec) | fetch,
        configs=[reference], mounts=[tmp, *found], **common,
    )  # fmt: skip


def _files(spec: ReplicaSpec) -> tuple[list[Mount], dict[str, str], str]:
    """How the artifact, and what an explainer reads beside it, get into the task: from paths that
    all nodes share, or fetched at start over addresses that are signed and expire, into volumes of
    the task's own."""
    path = os.path.realpath(spec.server.artifact)
    files = {inside: os.path.realpath(outside) for inside, outside in beside(spec).items()}
    if not settings.SWARM_FETCH_URL:
        places = {ARTIFACT_PATH: path} | files
        found = [Mount(to, each, type="bind", read_only=True) for to, each in places.items()]
        return found, {}, ARTIFACT_PATH
    fetch = {f"FETCH_{key.upper()}": value for key, value in _fetched(path, FETCHED_PATH).items()}
    folder = str(Path(FETCHED_PATH).parent)
    if files:
        more = [_fetched(outside, inside) for inside, outside in files.items()]
        fetch["FETCH_MORE"] = json.dumps(more)
    return [Mount(folder, None, type="volume")], fetch, FETCHED_PATH


def _fetched(path: str, target: str) -> dict[str, str]:
    sha256 = storage.digest_in(path)
    url = signed_url(settings.SWARM_FETCH_URL, sha256)
    return {"url": url, "sha256": sha256, "target": target}


def _secrets(
    client: Any, values: dict[str, str], name: str, labels: dict[str, str]
) -> tuple[list[SecretReference], dict[str, str]]:
    """Each variable as a secret of the swarm, and NAME_FILE as the variable that leads to it."""
    references, paths = [], {}
    for position, (key, value) in enumerate(sorted(values.items())):
        called = f"{name}-{position}"
        secret = client.secrets.create(name=called, data=value.encode(), labels=labels)
        references.append(SecretReference(secret.id, called, filename=key, mode=0o444))
        paths[f"{key}_FILE"] = f"/run/secrets/{key}"
    return references, paths


def _resources(spec: ReplicaSpec) -> Resources:
    cpus = round(spec.cpus * 1e9)
    resources = Resources(
        cpu_limit=cpus,
        mem_limit=spec.memory_bytes,
        cpu_reservation=cpus // _CPU_SHARED_BY,
        mem_reservation=spec.memory_bytes,
    )
    resources["Limits"]["Pids"] = PIDS
    return resources


def _port(spec: ReplicaSpec) -> dict[str, Any]:
    target = spec.image.port if spec.image else _PORT
    return {"Protocol": "tcp", "PublishMode": "host", "TargetPort": target}

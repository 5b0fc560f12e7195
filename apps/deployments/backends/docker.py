"""Model servers as containers of the Docker Engine on this machine.

A container has no network at all: our own server listens on a Unix socket in a directory that
both sides see; a custom image listens on a port of its own loopback, and a relay that shares its
network brings that port to such a socket. Root file system and artifact are read-only, the user
is one of its own without capabilities or new privileges, and memory, CPU, processes, files, the
temporary directory and the log are bounded. The controller restarts; the engine does not.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from docker.types import LogConfig, Mount, Ulimit

from apps.deployments.backends import pulls, relay
from apps.deployments.backends.base import BackendError, Handle, Observation, ReplicaSpec
from apps.deployments.backends.containers import (
    ARTIFACT_PATH,
    FILES,
    LOG_OPTIONS,
    PIDS,
    RUN_PATH,
    SOCKET,
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
from apps.deployments.backends.engine import REPLICA, Engine, Missing, own_filter, own_labels
from apps.deployments.backends.images import ImageBuilder
from apps.deployments.backends.starting import Start, Starts, directory_of, log_of

_LONGEST_SOCKET = 100
# A third of what a model server has where both want the processor.
_EXPLAINER_SHARES = 341
_RELAY_MEMORY = 64 * 1024**2
_RELAY_PATH = "/etc/deeploy/relay.py"
# Names are asked for at once in vain, not after half a minute: Python's own server asks for its
# host's when it starts.
_NOBODY_TO_ASK = {
    "hostname": "model",
    "extra_hosts": {"model": "127.0.0.1"},
    "dns": ["127.0.0.1"],
    "dns_opt": ["timeout:1", "attempts:1"],
}


class DockerBackend:
    """Runs one container a replica, and a relay beside a custom image."""

    name = "docker"

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.images = ImageBuilder(self.engine)
        self.starts = Starts("docker")

    def start(self, spec: ReplicaSpec) -> Handle:
        self.engine.check()
        handle = _handle(spec)
        _prepare(spec, handle)
        self.starts.begin(handle["name"], lambda start: self._launch(spec, handle, start))
        return handle

    def address(self, handle: Handle) -> str:
        return f"unix:{handle['socket']}"

    def observe(self, handle: Handle) -> Observation:
        if (coming := self.starts.seen(handle["name"])) is not None:
            return coming
        try:
            seen = self._look(handle["name"])
            if seen.state == "running" and handle["relay"]:
                beside = self._look(handle["relay"])
                if beside.state == "exited":
                    return Observation("exited", reason="The relay to the container's port ended.")
        except Missing:
            gone = "The container is gone: somebody removed it, or its start was interrupted."
            return Observation("exited", reason=gone)
        return seen

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        self.starts.end(handle["name"], grace_seconds + self.engine.timeout)
        for name in filter(None, (handle["name"], handle["relay"])):
            try:
                with self.engine.calls() as client:
                    container = client.containers.get(name)
                    if container.status == "running" and name == handle["name"]:
                        container.stop(timeout=round(grace_seconds))
                    container.remove(force=True, v=True)
            except Missing:
                continue
        self.starts.forget(handle["name"])
        shutil.rmtree(Path(handle["socket"]).parent, ignore_errors=True)

    def orphans(self, known: list[Handle]) -> list[Handle]:
        names = {handle.get(key) for handle in known for key in ("name", "relay")}
        with self.engine.calls() as client:
            found = client.containers.list(all=True, filters=own_filter("replica"))
        return [
            _handle_named(container.name, relayed="deeploy.relayed" in container.labels)
            for container in found
            if container.name not in names and container.name not in self.starts
        ]

    def log(self, handle: Handle, *, lines: int = 200) -> str:
        said = log_of(handle["name"], lines)
        try:
            with self.engine.calls() as client:
                text = client.containers.get(handle["name"]).logs(tail=lines)
        except Missing:
            text = b""
        except BackendError as away:
            text = str(away).encode()
        return "\n".join([*said, *text.decode(errors="replace").splitlines()][-lines:])

    def image(self, handle: Handle) -> str:
        """The digest of the image that runs, for all later replicas of the revision."""
        with self.engine.calls() as client:
            return pulls.pinned(client.containers.get(handle["name"]).image.attrs)

    def _look(self, name: str) -> Observation:
        with self.engine.calls() as client:
            container = client.containers.get(name)
            state = container.attrs["State"]
            if state["Status"] in ("created", "restarting"):
                return Observation("preparing")
            if state["Status"] not in ("running", "paused"):
                return ended(
                    state["ExitCode"], out_of_memory=state["OOMKilled"], error=state["Error"]
                )
            return Observation("running", memory_bytes=memory_of(state["Pid"]))

    def _launch(self, spec: ReplicaSpec, handle: Handle, start: Start) -> None:
        image = self._image(spec, start)
        with self.engine.calls() as client:
            if start.is_given_up():
                return
            client.containers.create(**_container_options(spec, handle, image)).start()
            if handle["relay"]:
                client.containers.create(**_relay_options(spec, handle)).start()

    def _image(self, spec: ReplicaSpec, start: Start) -> str:
        if spec.image is not None:
            return pulls.ensure(self.engine, spec.image, start, start.is_given_up)
        return self.images.for_server(spec.environment, start, start.is_given_up)


def _handle(spec: ReplicaSpec) -> Handle:
    name = f"deeploy-{settings.INSTALLATION_ID}-{spec.replica_id.hex[-12:]}-{uuid4().hex[:6]}"
    isolation = {"uid": uid_for(spec), "container": "no network"}
    return _handle_named(name, relayed=spec.image is not None) | {"isolation": isolation}


def _handle_named(name: str, *, relayed: bool) -> Handle:
    directory = directory_of(name)
    return {
        "name": name,
        "relay": f"{name}-relay" if relayed else "",
        "directory": str(directory),
        "socket": str(_socket(directory)),
    }


def _socket(directory: Path) -> Path:
    """A path that a socket's address can hold."""
    socket = directory / "run" / "s"
    if len(str(socket)) <= _LONGEST_SOCKET:
        return socket
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"deeploy-{name}" / "s"


def _prepare(spec: ReplicaSpec, handle: Handle) -> None:
    """The directory with the server's configuration, and the one in which its socket appears."""
    directory, run = Path(handle["directory"]), Path(handle["socket"]).parent
    directory.mkdir(parents=True)
    run.mkdir(parents=True, exist_ok=True)
    run.chmod(0o700)
    if os.geteuid() == 0:
        uid = handle["isolation"]["uid"]
        os.chown(run, uid, uid)
    if spec.image is None:
        path = directory / "spec.json"
        server_inside(spec, Listening(uds=SOCKET)).dump(path)
        path.chmod(0o644)


def _container_options(spec: ReplicaSpec, handle: Handle, image: str) -> dict[str, Any]:
    mine = own_labels("replica", **{REPLICA: str(spec.replica_id)}, **spec.labels)
    options = _locked(spec, memory=spec.memory_bytes, cpus=spec.cpus) | {
        "image": image,
        "name": handle["name"],
        "network_mode": "none",
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,mode=1777,size={TMP_BYTES}"},  # noqa: S108
    }
    if spec.image is not None:
        labels = mine | {"deeploy.relayed": "1"}
        own = {"HOME": "/tmp", "PORT": str(spec.image.port)}  # noqa: S108
        return (
            options
            | _NOBODY_TO_ASK
            | {
                "labels": labels,
                "init": True,
                "command": list(spec.image.args) or None,
                "environment": own | spec.image.variables,
            }
        )
    mounts = [
        _mount(RUN_PATH, Path(handle["socket"]).parent, read_only=False),
        _mount(SPEC_PATH, Path(handle["directory"]) / "spec.json"),
        _mount(ARTIFACT_PATH, Path(spec.server.artifact)),
        *(_mount(inside, Path(outside)) for inside, outside in beside(spec).items()),
    ]
    if spec.server.explaining:
        options["cpu_shares"] = _EXPLAINER_SHARES
    return options | {"labels": mine, "mounts": mounts, "environment": variables(spec)}


def _relay_options(spec: ReplicaSpec, handle: Handle) -> dict[str, Any]:
    assert spec.image is not None
    return _locked(spec, memory=_RELAY_MEMORY, cpus=0.5) | {
        "image": settings.DOCKER_BASE_IMAGE,
        "name": handle["relay"],
        "network_mode": f"container:{handle['name']}",
        "labels": own_labels("relay", **{REPLICA: str(spec.replica_id)}),
        "command": ["python3", "-I", _RELAY_PATH, SOCKET, str(spec.image.port)],
        "mounts": [
            _mount(RUN_PATH, Path(handle["socket"]).parent, read_only=False),
            _mount(_RELAY_PATH, Path(relay.__file__)),
        ],
    }


def _locked(spec: ReplicaSpec, *, memory: int, cpus: float) -> dict[str, Any]:
    """What holds every container of ours."""
    uid = uid_for(spec)
    return {
        "user": f"{uid}:{uid}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": round(cpus * 1e9),
        "pids_limit": PIDS,
        "ulimits": [Ulimit(name="nofile", soft=FILES, hard=FILES), Ulimit(name="core", hard=0)],
        "log_config": LogConfig(type="json-file", config=LOG_OPTIONS),
        "restart_policy": {"Name": "no"},
    }


def _mount(target: str, source: Path, *, read_only: bool = True) -> Mount:
    return Mount(target, os.path.realpath(source), type="bind", read_only=read_only)

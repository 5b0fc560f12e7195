"""A server that runs one method of an explainer for a while, beside every deployment.

It gets what the explainer of a revision would get, and is locked in the same way; nothing routes
traffic to it, and whoever starts it ends it.
"""

from datetime import datetime
from uuid import UUID

from apps.deployments import model_client
from apps.deployments.backends import backend_named
from apps.deployments.backends.base import BackendError, Handle, ReplicaSpec
from apps.deployments.environments import lists, readiness
from apps.deployments.explainers import Explainer, Method, path_of, reference_of
from apps.deployments.models import Component
from apps.deployments.reconcile.endings import why_ended
from apps.deployments.reconcile.specs import server_spec
from apps.registry import storage
from apps.registry.models import ModelVersion
from apps.serving.spec import Explaining

_END_SECONDS = 2


class Refused(Exception):
    """The method cannot be run so; the message says why, and what to do."""


def start(
    *, identifier: UUID, version: ModelVersion, method: Method, given: Explainer, backend: str,
    now: datetime,
) -> Handle:  # fmt: skip
    """Starts it and returns at once. Raises Refused."""
    background = given.background or reference_of(version)
    for artifact in (version.artifact, background):
        if artifact is not None and not storage.intact(artifact.sha256):
            raise Refused(f"The stored file {artifact} is gone or was changed; upload it again.")
    explaining = Explaining(
        explainers=(method.as_json(),),
        background=str(storage.path_of(background.sha256)) if background else "",
        rows=given.rows,
        sampling=given.sampling,
        target=given.target,
        seed=given.seed,
    )
    try:
        spec = ReplicaSpec(
            replica_id=identifier,
            server=server_spec(version, given.run, explaining),
            memory_bytes=given.run.memory_bytes,
            needs_isolation=version.scan.get("risk") == "dangerous",
            environment=_place(version, method, backend, now),
            labels={"deeploy.component": "trial", "deeploy.version": str(version)},
        )
        return backend_named(backend).start(spec)
    except BackendError as error:
        raise Refused(str(error)) from None


def _place(version: ModelVersion, method: Method, backend: str, now: datetime) -> str:
    environment = lists.environment_explaining(version, [method.method])
    component = Component(kind=Component.Kind.EXPLAINER, environment=environment)
    try:
        return readiness.location_of(component, backend, now)
    except readiness.NotBuilt as error:
        raise Refused(f"{error} Measure again when it is there.") from None


def address_when_ready(handle: Handle, backend: str) -> str:
    """Where it answers; empty while it loads. Raises Refused where it ended, with the reason."""
    runs = backend_named(backend)
    try:
        seen = runs.observe(handle)
        if seen.state == "exited":
            raise Refused(why_ended(seen, runs.log(handle, lines=40)))
        address = runs.address(handle)
        ready = address and model_client.readiness(address)[0] == "ready"
    except BackendError as error:
        raise Refused(str(error)) from None
    except model_client.Unreachable:
        return ""
    return address if ready else ""


def measure(address: str, name: str, *, rows: int, seconds: float) -> dict[str, object]:
    """The answer of `apps.serving.cost`. Raises Refused, with its reason, and Unreachable."""
    asked = {"method": "cost", "by": name, "rows": rows, "seconds": seconds}
    status, answer = model_client.post(
        address, path_of("summarise"), asked, timeout=seconds + _END_SECONDS
    )
    if status != 200:
        raise Refused(str(answer.get("error") or f"The explainer answered {status}."))
    found: dict[str, object] = answer["summary"]
    return found


def end(handle: Handle, backend: str) -> None:
    """Ends it; may be repeated. Raises BackendError while its engine is away."""
    backend_named(backend).stop(handle, grace_seconds=_END_SECONDS)

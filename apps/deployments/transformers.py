"""The transformer of a revision: what people say of it, and the component that it becomes.

A transformer is a Python module, or an image whose server answers
`POST /v1/models/model:preprocess` with `{"instances": [...]}` and `:postprocess` with
`{"predictions": [...]}`; either of the two is enough.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from apps.accounts.models import User
from apps.core.errors import Invalid
from apps.deployments import custom, model_client
from apps.deployments.backends.base import Backend, BackendError, CustomImage
from apps.deployments.environments import lists
from apps.deployments.models import Component, Replica, Revision
from apps.deployments.run_settings import RunSettings
from apps.deployments.signatures import Speechless
from apps.registry import storage
from apps.registry.metadata import checked
from apps.registry.models import Artifact
from apps.serving.spec import Limits, ServerSpec
from apps.serving.transformer import FRAMEWORK, STEPS

_MISSING = {404, 405, 501}
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Transformer:
    """A module or an image, and how it runs.

    `reason` is why its code may run, as `answered_by` says; `metadata` has features and
    exampleInput of the raw input, in the form of metadata.json.
    """

    artifact: Artifact | None = None
    image: str = ""
    port: int = 8080
    readiness_path: str = ""
    args: tuple[str, ...] = ()
    variable_ids: tuple[str, ...] = ()
    requirements: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    run: RunSettings = field(default_factory=RunSettings)
    reason: str = ""
    answered_by: str = ""

    @property
    def is_given(self) -> bool:
        return self.artifact is not None or bool(self.image)

    @property
    def words(self) -> str:
        """What it is, for people."""
        return self.artifact.filename if self.artifact else self.image


NO_TRANSFORMER = Transformer()


def component_of(revision: Revision) -> Component | None:
    """The transformer's component; without a query where components are prefetched."""
    found = [c for c in revision.components.all() if c.kind == Component.Kind.TRANSFORMER]
    return found[0] if found else None


def transformer_of(revision: Revision) -> Transformer | None:
    """What was said of a revision's transformer; None where it has none."""
    component = component_of(revision)
    if component is None:
        return None
    config = component.config
    return Transformer(
        artifact=component.artifact,
        image=config.get("image", ""),
        port=config.get("port", 8080),
        readiness_path=config.get("readinessPath", ""),
        args=tuple(config.get("args", ())),
        variable_ids=tuple(config.get("variableIds", ())),
        requirements=config.get("requirements", ""),
        metadata=config.get("metadata", {}),
        run=RunSettings(**config["run"]),
        reason=config.get("reason", ""),
        answered_by=config.get("answeredBy", ""),
    )


def add_transformer(revision: Revision, given: Transformer, by: User) -> str:
    """Makes the component. Raises Invalid where the transformer may not run; gives its name.

    What a module's zip says of its packages and of what callers send counts where nothing else is
    said.
    """
    _check(revision, given)
    scan = given.artifact.scan if given.artifact else {}
    requirements = given.requirements or scan.get("requirements", "")
    metadata = given.metadata or scan.get("metadata", {})
    Component.objects.create(
        revision=revision,
        kind=Component.Kind.TRANSFORMER,
        artifact=given.artifact,
        environment=None if given.image else lists.environment_of(requirements),
        config={
            "image": given.image,
            "port": given.port,
            "readinessPath": given.readiness_path,
            "args": list(given.args),
            "variableIds": list(given.variable_ids),
            "requirements": requirements,
            "metadata": checked(metadata) if metadata else {},
            "run": asdict(given.run),
            "reason": given.reason[:_LONGEST_REASON],
            "answeredBy": given.answered_by or by.name,
        },
    )
    return given.words


def _check(revision: Revision, given: Transformer) -> None:
    if given.artifact is not None and given.image:
        raise Invalid("A transformer is a module or an image, not both.")
    if given.image:
        if revision.backend == "process":
            raise Invalid(
                "A transformer that is an image runs on the docker or swarm backend; choose one."
            )
        return
    assert given.artifact is not None
    if given.artifact.workspace_id != revision.deployment.workspace_id:
        raise Invalid("There is no such transformer in this workspace.")
    if given.artifact.scan.get("kind") != FRAMEWORK:
        raise Invalid(f"{given.artifact} is no transformer; upload a module with preprocess.")
    check_answered(given)


def check_answered(given: Transformer) -> None:
    """Raises Invalid for code for which nobody said why it may run."""
    if given.artifact is not None and not given.reason.strip():
        message = (
            f"{given.artifact} is code, which runs as it is written. Read it, and say why it may "
            "run here."
        )
        raise Invalid(message, [{"field": "transformer_reason", "message": message}])


def input_metadata(revision: Revision) -> dict[str, Any]:
    """The metadata of what callers send: the transformer's where it describes that, else the
    model's; labels, classes and the caller's id are the model's in any case."""
    components = {component.kind: component for component in revision.components.all()}
    version = components[Component.Kind.MODEL].model_version
    assert version is not None
    metadata: dict[str, Any] = version.metadata
    transformer = components.get(Component.Kind.TRANSFORMER)
    own: dict[str, Any] = transformer.config.get("metadata") or {} if transformer else {}
    if not own:
        return metadata
    hidden = {"features", "exampleInput"}
    return {key: value for key, value in metadata.items() if key not in hidden} | own


def run_of(component: Component) -> RunSettings:
    """How a component runs: the model by the numbers of the revision, the others by their own."""
    if component.kind != Component.Kind.MODEL:
        return RunSettings(**component.config["run"])
    return RunSettings.of(component.revision)


def server_spec(component: Component) -> ServerSpec:
    """The configuration of our own server for a transformer's module."""
    artifact, run = component.artifact, run_of(component)
    return ServerSpec(
        name=model_client.MODEL_NAME,
        framework=FRAMEWORK,
        format=artifact.scan.get("format", "py") if artifact else "",
        artifact=str(storage.path_of(artifact.sha256)) if artifact else "",
        limits=Limits(threads=run.threads),
    )


def image_of(component: Component) -> CustomImage | None:
    """The container of a transformer that is an image, pinned as that of a custom model is."""
    config = component.config
    if not config.get("image"):
        return None
    return CustomImage(
        reference=config.get("digest") or config["image"],
        port=int(config["port"]),
        args=tuple(config["args"]),
        variables=custom.variables_of(component, config["variableIds"]),
    )


def check_file(component: Component) -> None:
    """Raises BackendError where the stored module is not what was uploaded."""
    artifact = component.artifact
    if artifact is not None and not storage.intact(artifact.sha256):
        raise BackendError(
            f"The stored file of the transformer {artifact} is gone or no longer has the checksum "
            "with which it was uploaded. Restore it from a backup, or upload it again."
        )


def note_steps(replicas: list[Replica], backend: Backend) -> None:
    """Asks a ready transformer which steps it has, and keeps that and its image's digest.

    `replicas` are all of its servers. Raises Speechless, Unreachable or BackendError.
    """
    replica = replicas[0]
    component = replica.component
    steps = _steps_of(replica)
    if not steps:
        raise Speechless(
            "The transformer answers neither POST /v1/models/model:preprocess nor :postprocess. "
            "Serve one of them on the port that the revision names."
        )
    component.signature = {"steps": steps}
    if component.config.get("image"):
        component.config = component.config | {"digest": backend.image(replica.handle)}
    component.save(update_fields=["signature", "config"])
    for each in replicas:
        each.component = component


def _steps_of(replica: Replica) -> list[str]:
    """Our own server says it; an image is sent an empty list."""
    if replica.component.artifact_id is not None:
        _, said = model_client.get(replica.address, f"/v1/models/{model_client.MODEL_NAME}")
        return list(said["steps"]) if isinstance(said, dict) else []
    return [step for step, key in STEPS.items() if _has(replica.address, step, key)]


def _has(address: str, step: str, key: str) -> bool:
    status, _ = model_client.post(address, path_of(step), {key: []}, timeout=10)
    return status not in _MISSING


def path_of(step: str) -> str:
    return f"/v1/models/{model_client.MODEL_NAME}:{step}"


def transformed(address: str, step: str, values: list[Any]) -> list[Any]:
    """One step of a transformer, for the checks. Raises ValueError with its reason, Unreachable."""
    key = STEPS[step]
    status, answer = model_client.post(address, path_of(step), {key: values})
    if status != 200:
        raise ValueError(str(answer.get("error", f"status {status}")))
    return rows_in(answer, step, len(values))


def rows_in(answer: Any, step: str, count: int) -> list[Any]:
    """The rows of a transformer's answer. Raises ValueError where they are not what they must."""
    key = STEPS[step]
    rows = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"The transformer's {step} gave no list of {key}.")
    if len(rows) != count:
        raise ValueError(f"The transformer's {step} gave {len(rows)} {key} for {count}.")
    return rows

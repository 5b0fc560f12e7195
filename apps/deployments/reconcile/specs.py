"""What a backend is told of a replica: server, limits, environment or image, labels."""

from django.conf import settings

from apps.core.errors import Invalid
from apps.deployments import custom, explainer_image, explainers, model_client, transformers
from apps.deployments.backends.base import BackendError, ReplicaSpec
from apps.deployments.models import Component, Replica, Revision
from apps.deployments.run_settings import RunSettings
from apps.registry import archives, storage
from apps.registry.models import ModelVersion
from apps.serving.spec import Explaining, Limits, ServerSpec

# A number of two bytes in JSON is one of eight in a tensor.
_GROWTH = 4


def version_of(revision: Revision) -> ModelVersion:
    """The model version that a revision serves."""
    component = revision.components.select_related(
        "model_version__artifact", "model_version__model"
    ).get(kind=Component.Kind.MODEL)
    assert component.model_version is not None
    return component.model_version


def check_files(component: Component, version: ModelVersion) -> None:
    """Raises BackendError where a stored file that the component reads is not what it was."""
    if component.kind == Component.Kind.TRANSFORMER:
        return transformers.check_file(component)
    if component.kind == Component.Kind.EXPLAINER:
        explainers.check_file(component)
    if version.artifact and not storage.intact(version.file.sha256):
        raise BackendError(
            f"The stored file of {version} is gone or no longer has the checksum with which it "
            "was registered. Restore it from a backup, or upload it again."
        )
    return None


def replica_spec(
    replica: Replica, revision: Revision, version: ModelVersion, environment: str
) -> ReplicaSpec:
    """What starts a replica in the environment at this location. Raises BackendError."""
    if replica.component.kind == Component.Kind.TRANSFORMER:
        return _transformer_spec(replica, revision, environment)
    component, run = replica.component, transformers.run_of(replica.component)
    explains = component.kind == Component.Kind.EXPLAINER
    explaining = explainers.explaining_of(component) if explains else None
    return ReplicaSpec(
        replica_id=replica.id,
        server=server_spec(version, run, explaining),
        memory_bytes=run.memory_bytes,
        needs_isolation=_is_dangerous(component, version),
        environment=environment,
        image=(
            explainer_image.image_of(component) if explains else custom.image_of(component, version)
        ),
        cpus=run.threads,
        labels=_labels(replica, revision),
    )


def server_spec(
    version: ModelVersion, run: RunSettings, explaining: Explaining | None
) -> ServerSpec:
    """The configuration of our own server, for the model or what explains it."""
    most = settings.PREDICT_MAX_ROWS if explaining is None else settings.EXPLAIN_MAX_ROWS
    return ServerSpec(
        name=model_client.MODEL_NAME,
        framework=version.framework,
        format=version.format,
        artifact=_artifact(version),
        metadata=version.metadata,
        trusted_types=tuple(version.trusted_types),
        limits=Limits(
            threads=run.threads,
            max_body_bytes=_GROWTH * settings.PREDICT_MAX_BODY_BYTES,
            max_rows=most,
        ),
        explaining=explaining,
    )


def _transformer_spec(replica: Replica, revision: Revision, environment: str) -> ReplicaSpec:
    component, run = replica.component, transformers.run_of(replica.component)
    scan = component.artifact.scan if component.artifact else {}
    return ReplicaSpec(
        replica_id=replica.id,
        server=transformers.server_spec(component),
        memory_bytes=run.memory_bytes,
        needs_isolation=scan.get("risk") == "dangerous",
        environment=environment,
        image=transformers.image_of(component),
        cpus=run.threads,
        labels=_labels(replica, revision),
    )


def _is_dangerous(component: Component, version: ModelVersion) -> bool:
    module = component.module.scan if component.module else {}
    return "dangerous" in (version.scan.get("risk"), module.get("risk"))


def _artifact(version: ModelVersion) -> str:
    """What the model server reads: the file, or the folder that an archive holds."""
    if not version.sha256:
        return ""
    try:
        return str(archives.place_of(version.sha256, version.format))
    except Invalid as error:
        raise BackendError(error.message) from None


def _labels(replica: Replica, revision: Revision) -> dict[str, str]:
    """What people see in the engine's own lists."""
    deployment = revision.deployment
    return {
        "deeploy.workspace": str(deployment.workspace_id),
        "deeploy.deployment": deployment.slug,
        "deeploy.revision": str(revision.number),
        "deeploy.component": replica.component.kind,
        "deeploy.index": str(replica.index),
    }

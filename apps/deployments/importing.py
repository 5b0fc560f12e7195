"""Deployments whose model has to be imported first: opened at once, revised when it is there."""

from dataclasses import asdict, replace
from typing import Any, Literal

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.actor import SYSTEM
from apps.core.errors import DomainError, Invalid
from apps.deployments.explainer_settings import Explainer
from apps.deployments.importing_explainer import explainer_of_import, kept_explainer
from apps.deployments.models import Deployment, UseCase
from apps.deployments.services import RunSettings, create_deployment, create_revision, record
from apps.deployments.transformer_files import take_module
from apps.deployments.transformers import Transformer
from apps.registry import storage
from apps.registry.imports import services as imports
from apps.registry.models import Artifact, Credential, Import
from apps.registry.services import Upload
from apps.registry.sources.packing import chunks_of

FromFolder = Literal["no", "may", "must"]


@transaction.atomic
def deploy_import(
    *,
    workspace: Workspace,
    name: str,
    source: dict[str, Any],
    by: User,
    credential: Credential | None = None,
    options: dict[str, Any] | None = None,
    use_case: UseCase | None = None,
    description: str = "",
    run: RunSettings | None = None,
    durability: str = Deployment.Durability.COMMITTED,
    backend: str | None = None,
    config: dict[str, Any] | None = None,
    transformer: Transformer | None = None,
    from_folder: FromFolder = "may",
    explainer: Explainer | None = None,
    explainer_from_folder: FromFolder = "may",
) -> Deployment:
    """A deployment without a revision, and the import that brings it one.

    The model is registered under the deployment's name. `transformer` says which transformer, or
    how that of the contract folder runs; `from_folder` whether the folder's is taken. `explainer`
    and `explainer_from_folder` say the same of the explainer.
    Raises as `create_deployment` and `start_import` do.
    """
    deployment = create_deployment(
        workspace=workspace,
        name=name,
        model_version=None,
        use_case=use_case,
        description=description,
        durability=durability,
        by=by,
    )
    wanted = {
        "id": str(deployment.id),
        "run": asdict(run) if run else None,
        "backend": backend,
        "config": config,
        "transformer": _kept(transformer) if transformer else None,
        "fromFolder": from_folder,
        "explainer": kept_explainer(explainer) if explainer else None,
        "explainerFromFolder": explainer_from_folder,
    }
    imports.start_import(
        workspace=workspace,
        source=source,
        name=name,
        credential=credential,
        auto=True,
        options=(options or {}) | {"deployment": wanted},
        by=by,
    )
    return deployment


def follow(job: Import) -> None:
    """Called in the transaction that ends an import: the first revision of what waits for it."""
    wanted = job.options.get("deployment")
    if not wanted or job.version is None:
        return
    deployment = Deployment.objects.filter(pk=wanted["id"]).first()
    if deployment is None or deployment.desired == Deployment.Desired.DELETED:
        return
    try:
        create_revision(
            deployment=deployment,
            model_version=job.version,
            run=RunSettings(**wanted["run"]) if wanted["run"] else None,
            backend=wanted["backend"],
            config=wanted.get("config"),
            transformer=_transformer(job),
            explainer=explainer_of_import(job),
            by=job.created_by,
        )
    except DomainError as error:
        Import.objects.filter(pk=job.pk).update(
            state=Import.State.FAILED, error=error.message[:1000]
        )
        record(deployment, "deployment.not_revised", SYSTEM, {"reason": error.message})


@transaction.atomic
def try_again(*, job: Import, by: User, reason: str = "") -> None:
    """Begins again where it failed: the fetch, or the revision of a version that is there.

    `reason` says why the folder's transformer and explainer may run. Raises Conflict where nothing
    failed.
    """
    if reason.strip():
        wanted = job.options["deployment"]
        answered = {"reason": reason.strip(), "answered_by": by.name}
        empty = {"transformer": _kept(Transformer()), "explainer": kept_explainer(Explainer())}
        for kind in waiting_for_reason(job):
            wanted[kind] = (wanted.get(kind) or empty[kind]) | answered
        job.save(update_fields=["options"])
    if job.version is None or job.state != Import.State.FAILED:
        imports.retry_import(job=job, by=by.actor)
        return
    Import.objects.filter(pk=job.pk).update(
        state=Import.State.DONE, state_at=timezone.now(), error=""
    )
    job.refresh_from_db()
    imports.record(job, "import.retried", by.actor)
    follow(job)


def waiting_for_reason(job: Import) -> list[str]:
    """Which modules of the folder wait for somebody who says why they may run."""
    if not (job.version and job.error):
        return []
    deployment = job.options.get("deployment", {})
    asked = {"transformer": "fromFolder", "explainer": "explainerFromFolder"}
    return [
        kind
        for kind, key in asked.items()
        if "artifactId" in (job.options.get(kind) or {})
        and deployment.get(key, "no") != "no"
        and not (deployment.get(kind) or {}).get("reason")
    ]


def _kept(transformer: Transformer) -> dict[str, Any]:
    """A transformer as JSON."""
    artifact = transformer.artifact
    values = {name: getattr(transformer, name) for name in Transformer.__slots__}
    return values | {
        "artifact": str(artifact.id) if artifact else None,
        "run": asdict(values["run"]),
    }


def _transformer(job: Import) -> Transformer | None:
    """What was said of a transformer, with the folder's where none was named."""
    wanted = job.options["deployment"]
    said = _restored(wanted.get("transformer"))
    if said.is_given:
        return said
    brought = job.options.get("transformer")
    from_folder = wanted.get("fromFolder", "no")
    if from_folder == "must" and not brought:
        raise Invalid(
            "A transformer was asked for, but the contract folder has no transformer/ with "
            "transformer.py or reference.json."
        )
    if from_folder == "no" or not brought:
        return None
    if "image" in brought:
        return replace(said, image=brought["image"], port=int(brought.get("port") or 8080))
    packed = Artifact.objects.get(pk=brought["artifactId"])
    upload = Upload(packed.filename, chunks_of(storage.path_of(packed.sha256)))
    return replace(said, artifact=take_module(job.workspace, upload))


def _restored(kept: dict[str, Any] | None) -> Transformer:
    if not kept:
        return Transformer()
    lists = {name: tuple(kept[name]) for name in ("args", "variable_ids")}
    artifact = Artifact.objects.get(pk=kept["artifact"]) if kept["artifact"] else None
    return Transformer(**kept | lists | {"artifact": artifact, "run": RunSettings(**kept["run"])})

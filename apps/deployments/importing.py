"""Deployments whose model has to be imported first: opened at once, revised when it is there."""

from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.actor import SYSTEM
from apps.core.errors import DomainError
from apps.deployments.explainer_settings import Explainer
from apps.deployments.importing_explainer import explainer_of_import, kept_explainer
from apps.deployments.importing_folder import EXPLAINER, TRANSFORMER, FromFolder
from apps.deployments.importing_transformer import kept_transformer, transformer_of_import
from apps.deployments.models import Deployment, UseCase
from apps.deployments.services import RunSettings, create_deployment, create_revision, record
from apps.deployments.transformers import Transformer
from apps.registry.imports import services as imports
from apps.registry.models import Credential, Import


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
        "transformer": kept_transformer(transformer) if transformer else None,
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
            transformer=transformer_of_import(job),
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
        empty = {
            "transformer": kept_transformer(Transformer()),
            "explainer": kept_explainer(Explainer()),
        }
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
    return [kind.name for kind in (TRANSFORMER, EXPLAINER) if kind.waits_for_reason(job)]

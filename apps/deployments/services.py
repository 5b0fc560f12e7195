"""Changes to use cases, deployments and revisions, each with its event."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts import services as accounts
from apps.accounts.models import User, Workspace
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid
from apps.deployments.backends import NAMES as BACKENDS
from apps.deployments.environments import lists
from apps.deployments.explainers import (
    NO_EXPLAINER,
    Explainer,
    add_explainer,
    explainer_of,
)
from apps.deployments.models import (
    Component,
    Deployment,
    EnvironmentVariable,
    Revision,
    UseCase,
)
from apps.deployments.run_settings import RunSettings as RunSettings
from apps.deployments.transformers import (
    NO_TRANSFORMER,
    Transformer,
    add_transformer,
    transformer_of,
)
from apps.registry.models import ModelVersion

_MOST_ARGUMENTS = 100


@transaction.atomic
def create_use_case(
    *,
    workspace: Workspace,
    name: str,
    by: User,
    description: str = "",
    risk: str = UseCase.Risk.UNCLASSIFIED,
    stage: str = UseCase.Stage.DEVELOPMENT,
) -> UseCase:
    """Raises Conflict where the workspace has a use case of that name."""
    if UseCase.objects.filter(workspace=workspace, name__iexact=name).exists():
        raise Conflict(f"There is a use case called {name} already; choose it or another name.")
    use_case = UseCase.objects.create(
        workspace=workspace,
        name=name,
        description=description,
        risk=risk,
        stage=stage,
        created_by=by,
    )
    audit.record(
        name="use_case.created",
        by=by.actor,
        workspace_id=workspace.id,
        object_type="use_case",
        object_id=use_case.id,
        object_name=name,
        data={"risk": risk, "stage": stage},
    )
    return use_case


@transaction.atomic
def create_deployment(
    *,
    workspace: Workspace,
    name: str,
    model_version: ModelVersion | None,
    by: User,
    use_case: UseCase | None = None,
    description: str = "",
    run: RunSettings | None = None,
    durability: str = Deployment.Durability.COMMITTED,
    backend: str | None = None,
    config: dict[str, Any] | None = None,
    transformer: Transformer | None = None,
    explainer: Explainer | None = None,
    kind: str = Deployment.Kind.MANAGED,
) -> Deployment:
    """A deployment with its first revision, which the controller starts.

    Without a model version it has none yet: its model is being imported.

    Without a use case one of the deployment's name is made. Raises Conflict where the name is in
    use, Invalid where the model version may not run.
    """
    slug = slugify(name)[:80]
    if not slug:
        raise Invalid("A deployment needs a name with at least one letter or digit.")
    living = Deployment.objects.exclude(desired=Deployment.Desired.DELETED)
    if living.filter(workspace=workspace, slug=slug).exists():
        raise Conflict(f"There is a deployment called {name} already; choose another name.")
    use_case = use_case or _use_case_named(workspace, name, by)
    deployment = Deployment.objects.create(
        workspace=workspace,
        use_case=use_case,
        name=name,
        slug=slug,
        description=description,
        owner=by,
        durability=durability,
        kind=kind,
    )
    record(deployment, "deployment.created", by.actor, {"useCase": use_case.name})
    if model_version is None:
        return deployment
    create_revision(
        deployment=deployment,
        model_version=model_version,
        by=by,
        run=run,
        backend=backend,
        config=config,
        transformer=transformer,
        explainer=explainer,
    )
    return deployment


@transaction.atomic
def create_revision(
    *,
    deployment: Deployment,
    by: User,
    model_version: ModelVersion | None = None,
    run: RunSettings | None = None,
    note: str = "",
    backend: str | None = None,
    config: dict[str, Any] | None = None,
    transformer: Transformer | None = None,
    explainer: Explainer | None = None,
) -> Revision:
    """A new immutable configuration; what is not given is taken from the newest revision.

    `config` is what the containers of a custom image get: `{"args", "variableIds"}`. A transformer
    is taken away by `NO_TRANSFORMER`, an explainer by `NO_EXPLAINER`.

    The active revision goes on serving until the new one has started and passed its checks.
    """
    Deployment.objects.select_for_update().get(pk=deployment.pk)
    last = deployment.revisions.order_by("-number").first()
    if last is not None:
        model_version = model_version or model_of(last)
        run = run or RunSettings.of(last)
        backend = backend or last.backend
        config = config_of(last) if config is None else config
        transformer = transformer_of(last) if transformer is None else transformer
        explainer = explainer_of(last) if explainer is None else explainer
    if model_version is None:
        raise Invalid("A revision needs a model version.")
    check_may_run(model_version, deployment.workspace)
    images = (transformer and transformer.image, explainer and explainer.image)
    backend = backend or _usual_backend(model_version, beside=any(images))
    _check_backend(backend, model_version)
    config = _checked_config(config or {}, model_version, deployment.workspace)
    _check_place(deployment, model_version)
    number = (deployment.revisions.aggregate(last=Max("number"))["last"] or 0) + 1
    revision = Revision.objects.create(
        deployment=deployment,
        number=number,
        backend=backend,
        settings=asdict(run or RunSettings()),
        state_at=timezone.now(),
        note=note,
        created_by=by,
    )
    Component.objects.create(
        revision=revision,
        model_version=model_version,
        environment=lists.environment_for(model_version),
        config=config,
    )
    data = {
        "revision": number,
        "model": str(model_version),
        "settings": revision.settings,
        "backend": backend,
        "config": config,
        "note": note,
    }
    if transformer is not None and transformer.is_given:
        data["transformer"] = add_transformer(revision, transformer, by)
    if explainer is not None and explainer.is_given:
        data["explainer"] = add_explainer(revision, explainer, model_version, by)
    record(deployment, "revision.created", by.actor, data)
    if deployment.kind == Deployment.Kind.REGISTRATION:
        _activate_entry(deployment, revision)
    notify_routes()
    return revision


def _activate_entry(deployment: Deployment, revision: Revision) -> None:
    """There is nothing to start of an inventory entry: its newest revision counts at once."""
    now = timezone.now()
    before = deployment.revisions.filter(state=Revision.State.ACTIVE)
    before.update(state=Revision.State.RETIRED, state_at=now)
    revision.state, revision.state_at = Revision.State.ACTIVE, now
    revision.save(update_fields=["state", "state_at"])
    deployment.active_revision = revision
    deployment.save(update_fields=["active_revision", "updated_at"])


def restore_revision(*, revision: Revision, by: User) -> Revision:
    """A new revision with the content of an earlier one."""
    return create_revision(
        deployment=revision.deployment,
        by=by,
        model_version=model_of(revision),
        run=RunSettings.of(revision),
        backend=revision.backend,
        config=config_of(revision),
        transformer=transformer_of(revision) or NO_TRANSFORMER,
        explainer=explainer_of(revision) or NO_EXPLAINER,
        note=f"Restores r{revision.number}",
    )


@transaction.atomic
def set_desired(*, deployment: Deployment, desired: str, by: Actor) -> None:
    """Starts or stops a deployment; asking for what is so already changes nothing."""
    if deployment.desired == desired:
        return
    if desired not in (Deployment.Desired.RUNNING, Deployment.Desired.STOPPED):
        raise Invalid("A deployment is started or stopped; deletion is an act of its own.")
    deployment.desired = desired
    deployment.save(update_fields=["desired", "updated_at"])
    verb = "started" if desired == Deployment.Desired.RUNNING else "stopped"
    record(deployment, f"deployment.{verb}", by, {})
    notify_routes()


@transaction.atomic
def delete_deployment(*, deployment: Deployment, by: Actor, now: datetime) -> None:
    """Ends the endpoint and its tokens. Its record and its revisions stay."""
    if deployment.desired == Deployment.Desired.DELETED:
        return
    deployment.desired = Deployment.Desired.DELETED
    deployment.save(update_fields=["desired", "updated_at"])
    accounts.revoke_tokens_of_deployment(deployment_id=deployment.id, by=by, now=now)
    record(deployment, "deployment.deleted", by, {})
    notify_routes()


@transaction.atomic
def change_details(
    *,
    deployment: Deployment,
    by: Actor,
    name: str | None = None,
    description: str | None = None,
    use_case: UseCase | None = None,
    durability: str | None = None,
) -> None:
    """Changes what is no part of a revision. The address keeps the first name's slug."""
    given = {
        "name": name,
        "description": description,
        "use_case": use_case,
        "durability": durability,
    }
    changed: dict[str, Any] = {}
    for field, value in given.items():
        old = getattr(deployment, field)
        if value is not None and value != old:
            setattr(deployment, field, value)
            changed[field] = {"from": str(old), "to": str(value)}
    if changed:
        deployment.save(update_fields=[*changed, "updated_at"])
        record(deployment, "deployment.changed", by, changed)
        notify_routes()


def check_may_run(version: ModelVersion, workspace: Workspace) -> None:
    """Raises Invalid for a version of another workspace, or one that the scan calls dangerous."""
    if version.model.workspace_id != workspace.id:
        raise Invalid("There is no such model version in this workspace.")
    if version.is_blocked:
        findings = ", ".join(found["what"] for found in version.asked)
        raise Invalid(
            f"{version} cannot be deployed: loading it would use {findings}. Save the model in a "
            "format that runs no code, or let somebody with the right to do so answer for it on "
            "the version's page."
        )


def model_of(revision: Revision) -> ModelVersion:
    """The model version of a revision; without a query where components are prefetched."""
    components = {component.kind: component for component in revision.components.all()}
    version = components[Component.Kind.MODEL].model_version
    assert version is not None
    return version


def config_of(revision: Revision) -> dict[str, Any]:
    """What a revision's model was given; not the digest, which a new revision finds for itself."""
    components = {component.kind: component for component in revision.components.all()}
    config = components[Component.Kind.MODEL].config
    return {name: value for name, value in config.items() if name != "digest"}


def notify_routes() -> None:
    """Tells gateways and the controller, when the transaction commits, that something changed."""
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY deeploy_routes")


def record(deployment: Deployment, name: str, by: Actor, data: dict[str, Any]) -> None:
    """An event about a deployment."""
    audit.record(
        name=name,
        by=by,
        workspace_id=deployment.workspace_id,
        object_type="deployment",
        object_id=deployment.id,
        object_name=deployment.name,
        data=data,
    )


def _usual_backend(version: ModelVersion, *, beside: bool) -> str:
    """That of the installation; containers where that is processes and an image has to run: the
    model's, or one `beside` it."""
    runs_image = beside or version.framework == ModelVersion.Framework.CUSTOM
    usual: str = settings.DEFAULT_BACKEND
    return "docker" if runs_image and usual == "process" else usual


def _check_backend(backend: str, version: ModelVersion) -> None:
    if backend not in BACKENDS:
        raise Invalid(f"There is no backend called {backend}; choose {', '.join(BACKENDS)}.")
    if version.framework == ModelVersion.Framework.CUSTOM and backend == "process":
        raise Invalid("A custom image runs on the docker or swarm backend; choose one of them.")


def _checked_config(
    config: dict[str, Any], version: ModelVersion, workspace: Workspace
) -> dict[str, Any]:
    """Arguments and variables of a custom image; nothing for a model that we serve ourselves."""
    if version.framework != ModelVersion.Framework.CUSTOM:
        return {}
    arguments = [str(each) for each in config.get("args", [])]
    if len(arguments) > _MOST_ARGUMENTS or any(len(each) > 1000 for each in arguments):
        text = f"A container takes at most {_MOST_ARGUMENTS} arguments of 1,000 characters each."
        raise Invalid(text, [{"field": "args", "message": text}])
    wanted = {str(each) for each in config.get("variableIds", [])}
    rows = EnvironmentVariable.objects.filter(workspace=workspace, id__in=wanted).order_by("key")
    found = list(rows)
    keys = [row.key for row in found]
    text = ""
    if len(found) != len(wanted):
        text = "One of these variables is not in this workspace, or no longer."
    elif twice := next((key for key in keys if keys.count(key) > 1), ""):
        text = f"Two of these variables set {twice}; choose one of them."
    if text:
        raise Invalid(text, [{"field": "variables", "message": text}])
    given = {
        "args": arguments,
        "variableIds": [str(row.id) for row in found],
        "variableKeys": keys,
    }
    return {name: value for name, value in given.items() if value}


def _check_place(deployment: Deployment, version: ModelVersion) -> None:
    """A version without a file of ours runs elsewhere or nowhere, and the others run here."""
    kinds = {
        "endpoint": Deployment.Kind.EXTERNAL,
        "registration": Deployment.Kind.REGISTRATION,
    }
    kind = kinds.get(version.source.get("kind", ""), Deployment.Kind.MANAGED)
    if kind != deployment.kind:
        raise Invalid(f"{version} {kind.label.lower()}; {deployment} does not.")


def _use_case_named(workspace: Workspace, name: str, by: User) -> UseCase:
    found = UseCase.objects.filter(workspace=workspace, name__iexact=name).first()
    return found or create_use_case(workspace=workspace, name=name, by=by)

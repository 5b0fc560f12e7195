"""What pages and the API read of deployments."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import Http404

from apps.accounts.access import AnyUser, visible_workspaces
from apps.accounts.models import Workspace
from apps.deployments.backends.offers import LABELS
from apps.deployments.explainers import component_of as explainer_component
from apps.deployments.explainers import explainer_of
from apps.deployments.models import Component, Deployment, Replica, Revision
from apps.deployments.services import model_of
from apps.deployments.transformers import transformer_of
from apps.registry.models import Import, ModelVersion

_COMING = (
    Revision.State.PENDING,
    Revision.State.BUILDING,
    Revision.State.STARTING,
    Revision.State.CHECKING,
)


_SETTING_NAMES = {
    "min_replicas": "Model servers, at least",
    "max_replicas": "Model servers, at most",
    "memory_mb": "Memory for each, in MB",
    "threads": "Threads for each",
    "load_timeout_seconds": "Time to load, in seconds",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two revisions say differently, in words for people."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Condition:
    """How a deployment is, in a word for people; `kind` is good, warn, bad or none."""

    word: str
    kind: str


def deployments_of(workspace: Workspace) -> QuerySet[Deployment]:
    """The living deployments of a workspace with what their condition needs, in few queries."""
    return _with_state(
        Deployment.objects.filter(workspace=workspace).exclude(desired=Deployment.Desired.DELETED)
    )


def deployments_visible_to(user: AnyUser) -> QuerySet[Deployment]:
    """The living deployments of all workspaces that `user` may look into."""
    return _with_state(
        Deployment.objects.filter(workspace__in=visible_workspaces(user)).exclude(
            desired=Deployment.Desired.DELETED
        )
    )


def find_deployment(workspace: Workspace, key: str) -> Deployment:
    """The deployment with this id or slug. Raises Http404."""
    found = deployments_of(workspace)
    try:
        deployment = found.filter(id=UUID(key)).first()
    except ValueError:
        deployment = found.filter(slug=key).first()
    if deployment is None:
        raise Http404("There is no such deployment in this workspace.")
    return deployment


def newest_revision(deployment: Deployment) -> Revision | None:
    """From the prefetched revisions, newest first."""
    revisions = list(deployment.revisions.all())
    return revisions[0] if revisions else None


def coming_revision(deployment: Deployment) -> Revision | None:
    """The newest revision while it is on its way."""
    newest = newest_revision(deployment)
    return newest if newest and newest.state in _COMING else None


def condition(deployment: Deployment) -> Condition:
    """The condition of a deployment that came from one of the selectors above."""
    if deployment.desired == Deployment.Desired.STOPPED:
        return Condition("Stopped", "none")
    newest = newest_revision(deployment)
    if newest is None:
        return _condition_of_import(deployment)
    if deployment.active_revision is None:
        if newest.state == Revision.State.FAILED:
            return Condition("Failed to start", "bad")
        return Condition("Starting", "warn")
    if deployment.kind == Deployment.Kind.REGISTRATION:
        return Condition("Registered", "none")
    if not _answers(deployment):
        return Condition("Not answering", "bad")
    if coming_revision(deployment):
        return Condition("Updating", "warn")
    if newest.state == Revision.State.FAILED:
        return Condition("Serving, update failed", "warn")
    return Condition("Serving", "good")


def _answers(deployment: Deployment) -> bool:
    """True where a request would find every server that it passes."""
    revision = deployment.active_revision
    assert revision is not None
    components = {component.kind: component for component in revision.components.all()}
    if deployment.kind == Deployment.Kind.EXTERNAL:
        return bool(components[Component.Kind.MODEL].health.get("ok", True))
    transforms = Component.Kind.TRANSFORMER in components
    ready: int = deployment.ready_replicas  # type: ignore[attr-defined]
    return bool(ready) and (not transforms or bool(deployment.ready_transformers))  # type: ignore[attr-defined]


def takes_a_form(deployment: Deployment) -> bool:
    """True where a form made from features can call it: it answers, and takes instances."""
    if deployment.kind == Deployment.Kind.REGISTRATION:
        return False
    newest = newest_revision(deployment)
    return newest is not None and model_of(newest).source.get("mapping") != "as-is"


def import_for(deployment: Deployment) -> Import | None:
    """The import from which the first revision of a deployment comes."""
    return Import.objects.filter(options__deployment__id=str(deployment.id)).first()


def _condition_of_import(deployment: Deployment) -> Condition:
    job = import_for(deployment)
    if job is None or job.state in (Import.State.FAILED, Import.State.CANCELLED):
        return Condition("Import failed", "bad")
    return Condition("Waiting for its import", "warn")


def differences(old: Revision, new: Revision) -> list[Difference]:
    """What `new` says otherwise than `old`."""
    before, after = _content(old), _content(new)
    names = [*after, *(name for name in before if name not in after)]
    return [
        Difference(name, before.get(name, "–"), after.get(name, "–"))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _content(revision: Revision) -> dict[str, str]:
    settings = {
        _SETTING_NAMES.get(key, key.replace("_", " ").capitalize()): f"{value:,}"
        if isinstance(value, int)
        else str(value)
        for key, value in revision.settings.items()
    }
    version = model_of(revision)
    if version.framework == version.Framework.EXTERNAL:
        return {"Version": str(version)} | _elsewhere(version)
    content = {"Model": str(version), "Runs as": LABELS[revision.backend]} | settings
    return content | _transforming(revision) | _explaining(revision)


def _transforming(revision: Revision) -> dict[str, str]:
    """What a revision says of its transformer."""
    transformer = transformer_of(revision)
    if transformer is None:
        return {"Transformer": "none"}
    digest = f" {transformer.artifact.sha256[:8]}" if transformer.artifact else ""
    return {
        "Transformer": f"{transformer.words}{digest}",
        "Transformer's servers": f"{transformer.run.min_replicas:,}",
        "Transformer's memory, in MB": f"{transformer.run.memory_mb:,}",
        "Transformer's packages": " ".join(transformer.requirements.split()) or "none of its own",
    }


def _explaining(revision: Revision) -> dict[str, str]:
    """What a revision says of its explainer."""
    explainer, component = explainer_of(revision), explainer_component(revision)
    if explainer is None or component is None:
        return {"Explainer": "none"}
    artifact = component.artifact
    kind = "its own" if explainer.background else "reference data"
    content = {
        "Explainer": explainer.words,
        "Background": f"{kind} {artifact.sha256[:8]}" if artifact else "none",
        "Background's rows, at most": f"{explainer.rows:,} by {explainer.sampling}",
        "Explainer's seed": str(explainer.seed),
        "Explainer's servers": f"{explainer.run.min_replicas:,}",
        "Explainer's memory, in MB": f"{explainer.run.memory_mb:,}",
    }
    said = {
        f"Explainer {each.name}": f"{each.method} {json.dumps(each.settings, sort_keys=True)}"
        for each in explainer.methods
    }
    if explainer.module:
        said["Explainer's module"] = f"{explainer.module} {explainer.module.sha256[:8]}"
    if explainer.image:
        said |= {"Explainer's arguments": " ".join(explainer.args) or "none"}
    return content | said


def _elsewhere(version: ModelVersion) -> dict[str, str]:
    """What a revision says of an endpoint, or of an entry; its secret only as changed or not."""
    names = {
        "url": "Address",
        "mapping": "Bodies",
        "authentication": "Authentication",
        "username": "User name",
        "timeoutSeconds": "Time for an answer, in seconds",
        "maxAnswerMb": "Largest answer, in MB",
        "healthUrl": "Address to look at",
        "place": "Where it runs",
    }
    source = version.source
    said = {label: str(source[key]) for key, label in names.items() if source.get(key)}
    if version.credential_id:
        said["Secret"] = f"…{str(version.credential_id)[-8:]}"
    return said


def replicas_of(deployment: Deployment) -> QuerySet[Replica]:
    """The living replicas, newest revision first."""
    return (
        Replica.objects.filter(
            component__revision__deployment=deployment,
            state__in=[Replica.State.STARTING, Replica.State.READY, Replica.State.DRAINING],
        )
        .select_related("component__revision", "component__environment")
        .order_by("-component__revision__number", "index")
    )


def _with_state(deployments: QuerySet[Deployment]) -> QuerySet[Deployment]:
    components = Component.objects.select_related("model_version__model", "artifact")
    revisions = Revision.objects.order_by("-number").prefetch_related(
        Prefetch("components", queryset=components)
    )
    return (
        deployments.select_related("workspace", "use_case", "owner", "active_revision")
        .annotate(
            ready_replicas=_ready(Component.Kind.MODEL),
            ready_transformers=_ready(Component.Kind.TRANSFORMER),
        )
        .prefetch_related(
            Prefetch("revisions", queryset=revisions),
            Prefetch("active_revision__components", queryset=components),
        )
        .order_by("name")
    )


def _ready(kind: str) -> Count:
    path = "active_revision__components"
    ready = Q(**{f"{path}__kind": kind, f"{path}__replicas__state": Replica.State.READY})
    return Count(f"{path}__replicas", filter=ready, distinct=True)


def ordered_example(metadata: dict[str, Any]) -> dict[str, Any]:
    """The example input with its values in the order of the features, as people expect them."""
    example: dict[str, Any] = metadata.get("exampleInput") or {"instances": []}
    names = [feature["name"] for feature in metadata.get("features") or []]

    def ordered(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return {name: row[name] for name in names if name in row} | row

    if isinstance(example.get("instances"), list):
        return example | {"instances": [ordered(row) for row in example["instances"]]}
    return example

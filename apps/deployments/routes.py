"""The routing table: what the data plane knows of every deployment, read in a few queries."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Prefetch

from apps.deployments.endpoints import Endpoint, endpoint_of
from apps.deployments.models import Component, Deployment, Replica
from apps.deployments.signatures import OURS
from apps.deployments.wire import Schema, compile_schema


@dataclass(frozen=True, slots=True)
class TransformerRoute:
    """The transformer of a route: its ready replicas, its steps, and, where it does not describe
    the raw input itself, the schema of what it gives the model."""

    targets: tuple[str, ...]
    steps: tuple[str, ...]
    schema: Schema | None


@dataclass(frozen=True, slots=True)
class ExplainerRoute:
    """The explainer of a route: its ready replicas, the names of its methods, and whether it is an
    image, which has its own way to answer."""

    targets: tuple[str, ...]
    names: tuple[str, ...]
    is_image: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One living deployment. `targets` are the addresses of its ready replicas; `signature` is
    what these say of their inputs and outputs, empty where they were never asked. `kind` is that
    of the deployment; `is_plain` is True where nothing stands between the caller and these
    replicas."""

    deployment_id: UUID
    slug: str
    name: str
    workspace_id: UUID
    workspace_slug: str
    desired: str
    durability: str
    revision_id: UUID | None
    revision_number: int | None
    targets: tuple[str, ...]
    metadata: dict[str, Any]
    schema: Schema
    signature: dict[str, Any] = field(default_factory=dict)
    kind: str = "managed"
    transformer: TransformerRoute | None = None
    explainer: ExplainerRoute | None = None
    endpoint: Endpoint | None = None
    is_plain: bool = True

    @property
    def is_as_is(self) -> bool:
        return self.endpoint is not None and self.endpoint.is_as_is

    @property
    def all_targets(self) -> tuple[str, ...]:
        beside = (self.transformer, self.explainer)
        return self.targets + tuple(target for each in beside if each for target in each.targets)

    @property
    def speaks_ours(self) -> bool:
        """True where the replicas are model servers of ours, not an image's own."""
        return not self.signature or self.signature.get("server") == OURS

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Names, datatypes and shapes of what callers send, as far as they are known: the model's
        own where no transformer stands before it."""
        return self._said("inputs", unless="preprocess")

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """The same of what callers get."""
        return self._said("outputs", unless="postprocess")

    def _said(self, side: str, *, unless: str) -> list[dict[str, Any]]:
        changed = self.transformer is not None and unless in self.transformer.steps
        said: list[dict[str, Any]] = [] if changed else self.signature.get(side, [])
        return said


def load_routes() -> list[Route]:
    """The routes of all deployments that are not deleted."""
    ready = Replica.objects.filter(state=Replica.State.READY).order_by("index")
    components = Component.objects.select_related("model_version__credential").prefetch_related(
        Prefetch("replicas", queryset=ready)
    )
    deployments = (
        Deployment.objects.exclude(desired=Deployment.Desired.DELETED)
        .select_related("workspace", "active_revision")
        .prefetch_related(Prefetch("active_revision__components", queryset=components))
    )
    return [_route(deployment) for deployment in deployments]


def _route(deployment: Deployment) -> Route:
    revision = deployment.active_revision
    metadata: dict[str, Any] = {}
    targets: tuple[str, ...] = ()
    signature: dict[str, Any] = {}
    transformer: TransformerRoute | None = None
    explainer: ExplainerRoute | None = None
    endpoint: Endpoint | None = None
    schema = compile_schema(metadata)
    if revision is not None:
        components = {component.kind: component for component in revision.components.all()}
        component = components[Component.Kind.MODEL]
        assert component.model_version is not None
        metadata = component.model_version.metadata
        signature = component.signature
        targets = tuple(replica.address for replica in component.replicas.all())
        schema = compile_schema(metadata)
        if before := components.get(Component.Kind.TRANSFORMER):
            transformer, schema = _transformer(before, schema)
        if beside := components.get(Component.Kind.EXPLAINER):
            explainer = _explainer(beside)
        if deployment.kind == Deployment.Kind.EXTERNAL:
            endpoint = endpoint_of(component.model_version)
    return Route(
        deployment_id=deployment.id,
        slug=deployment.slug,
        name=deployment.name,
        workspace_id=deployment.workspace_id,
        workspace_slug=deployment.workspace.slug,
        desired=deployment.desired,
        durability=deployment.durability,
        revision_id=revision.id if revision else None,
        revision_number=revision.number if revision else None,
        targets=targets,
        metadata=metadata,
        schema=schema,
        signature=signature,
        kind=deployment.kind,
        transformer=transformer,
        explainer=explainer,
        endpoint=endpoint,
        is_plain=transformer is None and deployment.kind == Deployment.Kind.MANAGED,
    )


def _transformer(component: Component, of_model: Schema) -> tuple[TransformerRoute, Schema]:
    """The transformer, and what the raw input is checked against."""
    features = component.config.get("metadata", {}).get("features")
    targets = tuple(replica.address for replica in component.replicas.all())
    steps = tuple(component.signature.get("steps", ()))
    raw = compile_schema({"features": features or []})
    if features or "preprocess" not in steps:
        return TransformerRoute(targets, steps, None), raw if features else of_model
    return TransformerRoute(targets, steps, of_model), raw


def _explainer(component: Component) -> ExplainerRoute:
    targets = tuple(replica.address for replica in component.replicas.all())
    names = tuple(each["name"] for each in component.config["explainers"])
    return ExplainerRoute(targets, names, bool(component.config.get("image")))

"""Use cases, deployments, their immutable revisions, and the replicas that run them."""

from django.db import models
from django.db.models.functions import Lower

from apps.accounts.models import User, Workspace
from apps.core.models import Record
from apps.registry.models import Artifact, ModelVersion


class Environment(Record):
    """A pinned list of packages, found again by its digest.

    `requirements` is the list in canonical form, one `name==version` a line; `digest` the SHA-256
    of it with the Python version. Built at most once for each kind of backend.
    """

    digest = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=80)
    python = models.CharField(max_length=10)
    requirements = models.TextField()
    last_used_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EnvironmentBuild(Record):
    """An environment made for one kind of backend: a virtual environment or an image.

    `location` is the directory, or the image's id, once `state` is ready. The log lies in
    VAR_DIR/environments/<digest>.<kind>.log.
    """

    class Kind(models.TextChoices):
        VENV = "venv", "Virtual environment"
        IMAGE = "image", "Image"

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        BUILDING = "building", "Building"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="builds")
    kind = models.CharField(max_length=5, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    state_at = models.DateTimeField()
    location = models.CharField(max_length=300, blank=True)
    size = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["environment", "kind"], name="one_build_per_kind")
        ]

    def __str__(self) -> str:
        return f"{self.environment} as {self.get_kind_display().lower()}"


class EnvironmentVariable(Record):
    """A named value that containers get; encrypted, never shown again."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="variables")
    name = models.CharField(max_length=80)
    key = models.CharField(max_length=120)
    value = models.BinaryField()
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="one_variable_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class UseCase(Record):
    """The purpose that deployments serve; carries the risk class and the life-cycle stage."""

    class Risk(models.TextChoices):
        UNCLASSIFIED = "unclassified", "Not classified"
        MINIMAL = "minimal", "Minimal risk"
        LIMITED = "limited", "Limited risk"
        HIGH = "high", "High risk"
        UNACCEPTABLE = "unacceptable", "Unacceptable risk"

    class Stage(models.TextChoices):
        EXPLORATION = "exploration", "Exploration"
        DEVELOPMENT = "development", "Development"
        VALIDATION = "validation", "Validation"
        PRODUCTION = "production", "Production"
        RETIREMENT = "retirement", "Retirement"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="use_cases")
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=500, blank=True)
    risk = models.CharField(max_length=12, choices=Risk, default=Risk.UNCLASSIFIED)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.DEVELOPMENT)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="one_use_case_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class Deployment(Record):
    """A named endpoint. What it should do is `desired`; what answers is `active_revision`."""

    class Kind(models.TextChoices):
        MANAGED = "managed", "Runs here"
        EXTERNAL = "external", "Runs elsewhere"
        REGISTRATION = "registration", "Inventory entry"

    class Desired(models.TextChoices):
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"
        DELETED = "deleted", "Deleted"

    class Durability(models.TextChoices):
        COMMITTED = "committed", "Record before answer"
        RELAXED = "relaxed", "Answer before record"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="deployments")
    use_case = models.ForeignKey(UseCase, models.PROTECT, related_name="deployments")
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80)
    description = models.CharField(max_length=500, blank=True)
    owner = models.ForeignKey(User, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.MANAGED)
    desired = models.CharField(max_length=8, choices=Desired, default=Desired.RUNNING)
    durability = models.CharField(max_length=10, choices=Durability, default=Durability.COMMITTED)
    active_revision = models.ForeignKey("Revision", models.SET_NULL, null=True, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "slug"],
                condition=~models.Q(desired="deleted"),
                name="one_deployment_per_slug",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Revision(Record):
    """One immutable configuration of a deployment; `state` is what the controller observed.

    pending → building → starting → checking → active → draining → retired; a revision that fails
    its start or its checks ends in failed, with `error` for people and the log's last lines in
    `error_log`. `settings` holds the fields of `services.RunSettings`.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        BUILDING = "building", "Building its environment"
        STARTING = "starting", "Starting"
        CHECKING = "checking", "Checking"
        ACTIVE = "active", "Active"
        DRAINING = "draining", "Draining"
        RETIRED = "retired", "Retired"
        FAILED = "failed", "Failed"

    UNDER_WAY = (State.PENDING, State.BUILDING, State.STARTING, State.CHECKING)

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="revisions")
    number = models.IntegerField()
    backend = models.CharField(max_length=10, default="process")
    settings = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    state_at = models.DateTimeField()
    error = models.TextField(blank=True)
    error_log = models.TextField(blank=True)
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "number"], name="one_revision_per_number"
            ),
            models.UniqueConstraint(
                fields=["deployment"],
                condition=models.Q(state="active"),
                name="one_active_revision",
            ),
        ]

    def __str__(self) -> str:
        return f"r{self.number}"


class Component(Record):
    """The model, explainer or transformer of a revision; runs as replicas.

    `artifact` is a transformer's own module, or an explainer's background; `module` an explainer's
    own module. `config` holds what
    containers of a custom image get: `{"args": [...], "variableIds": [...], "variableKeys":
    [...]}`, and once one ran the `digest` of the image; a transformer's or explainer's what
    `transformers` and `explainers` say of it. `environment` is None where the application's own
    packages serve. `signature` is what the running server says of itself: `{"protocol": "v1" |
    "v2", "name", "inputs": [{"name", "datatype", "shape"}], "outputs"}`, with `"server":
    "deeploy"` where it is our own; of a transformer `{"steps": ["preprocess", "postprocess"]}`,
    of an explainer `{"explainers": [{"name", "method", "milliseconds"}], "background": {"id",
    "rows", "of"}}`. `health` is what the last look at an external endpoint found: `{"ok", "at",
    "status", "ms", "error"}`.
    """

    class Kind(models.TextChoices):
        MODEL = "model", "Model"
        EXPLAINER = "explainer", "Explainer"
        TRANSFORMER = "transformer", "Transformer"

    revision = models.ForeignKey(Revision, models.CASCADE, related_name="components")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.MODEL)
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, null=True, related_name="+")
    artifact = models.ForeignKey(Artifact, models.PROTECT, null=True, related_name="+")
    module = models.ForeignKey(Artifact, models.PROTECT, null=True, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, null=True, related_name="+")
    config = models.JSONField(default=dict)
    signature = models.JSONField(default=dict)
    health = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["revision", "kind"], name="one_component_per_kind")
        ]

    def __str__(self) -> str:
        return self.kind


class Replica(Record):
    """One model server: what the backend knows it by, where it listens, how it is.

    `handle` is the backend's own JSON, enough to find the server again after a restart of ours;
    `address` is `unix:/path` or `http://host:port`.
    """

    class State(models.TextChoices):
        STARTING = "starting", "Starting"
        READY = "ready", "Ready"
        DRAINING = "draining", "Draining"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    component = models.ForeignKey(Component, models.CASCADE, related_name="replicas")
    index = models.IntegerField(default=0)
    handle = models.JSONField(default=dict)
    address = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.STARTING)
    state_at = models.DateTimeField()
    restarts = models.IntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    message = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["state"], name="replica_by_state")]

    def __str__(self) -> str:
        return f"{self.component_id} {self.index}"

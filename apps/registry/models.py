"""Models, their immutable versions, the artifacts they came as, and reference data."""

from typing import Any

from django.db import models
from django.db.models.functions import Lower

from apps.accounts.models import User, Workspace
from apps.core.models import Record


class Model(Record):
    """An entry of the registry: a name under which versions are kept."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="models")
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80)
    description = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="one_model_per_name"),
            models.UniqueConstraint(fields=["workspace", "slug"], name="one_model_per_slug"),
        ]

    def __str__(self) -> str:
        return self.name


class Artifact(Record):
    """One file, stored once under its SHA-256 in VAR_DIR/artifacts and never changed.

    `scan` is what the look into the file found, without executing it:
    `{"risk": "none" | "low" | "unknown" | "dangerous", "findings": [{"level", "what", "where"}]}`.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="artifacts")
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    filename = models.CharField(max_length=255)
    scan = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "sha256"], name="one_artifact_per_digest")
        ]

    def __str__(self) -> str:
        return self.filename


# Formats of which what nobody knows has to be answered for, too.
ANSWERED = {"skops", "torch-state-dict", "mlflow"}
_TRUSTED = {"skops", "keras"}


def asked_of(scan: dict[str, Any], format_: str) -> list[dict[str, str]]:
    """The findings of a scan that somebody has to answer for before the file runs.

    Those are dangerous ones; in a skops file also types that skops does not know, because these
    are built only where somebody trusts them by name; and in an archive that brings Python of its
    own that code.
    """
    levels = {"dangerous", "unknown"} if format_ in ANSWERED else {"dangerous"}
    return [found for found in scan.get("findings", []) if found["level"] in levels]


class Credential(Record):
    """What it takes to fetch from, or call, a place outside; encrypted, never shown again.

    `secret` is the encrypted JSON object of the kind's fields, `hint` what people recognise it by.
    """

    class Kind(models.TextChoices):
        PASSWORD = "password", "User name and password"
        TOKEN = "token", "Bearer token"
        HEADER = "header", "Custom header"
        OAUTH = "oauth", "OAuth client"
        SSH = "ssh", "SSH key"
        S3 = "s3", "S3"
        GCS = "gcs", "Google Cloud Storage"
        AZURE = "azure", "Azure Blob Storage"
        REGISTRY = "registry", "Container registry"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="credentials")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=Kind)
    secret = models.BinaryField()
    hint = models.CharField(max_length=120, blank=True)
    tested_at = models.DateTimeField(null=True)
    test_error = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="one_credential_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class Repository(Record):
    """A Git repository from which versions are imported."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="repositories")
    name = models.CharField(max_length=80)
    url = models.CharField(max_length=500)
    credential = models.ForeignKey(
        Credential, models.PROTECT, null=True, blank=True, related_name="repositories"
    )
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="one_repository_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class ModelVersion(Record):
    """One immutable artifact with what is known about it; only the cards may be edited.

    `metadata` has the keys of metadata.json: features, predictionClasses, problemType,
    exampleInput, exampleOutput, customId, inputTensorShape, outputTensorShape. `source` says
    where the version came from: `{"kind": "upload"}`, `{"kind": "git", "url", "commit",
    "path"}`, `{"kind": "files" | "mlflow", "uri"}`; a custom image has no artifact but
    `{"kind": "image", "image", "port", "readinessPath"}`, an external endpoint `{"kind":
    "endpoint", "url"}`, an inventory entry `{"kind": "registration"}`. `requirements` are the
    version's own pinned packages; empty where the framework's environment serves it.
    """

    class Framework(models.TextChoices):
        SKLEARN = "sklearn", "scikit-learn"
        XGBOOST = "xgboost", "XGBoost"
        PYTORCH = "pytorch", "PyTorch"
        TENSORFLOW = "tensorflow", "TensorFlow"
        ONNX = "onnx", "ONNX"
        LIGHTGBM = "lightgbm", "LightGBM"
        CATBOOST = "catboost", "CatBoost"
        MLFLOW = "mlflow", "MLflow"
        CUSTOM = "custom", "Custom image"
        EXTERNAL = "external", "External endpoint"

    model = models.ForeignKey(Model, models.CASCADE, related_name="versions")
    number = models.IntegerField()
    artifact = models.ForeignKey(Artifact, models.PROTECT, null=True, related_name="versions")
    source = models.JSONField(default=dict)
    credential = models.ForeignKey(Credential, models.PROTECT, null=True, related_name="+")
    requirements = models.TextField(blank=True)
    framework = models.CharField(max_length=20, choices=Framework)
    framework_version = models.CharField(max_length=40, blank=True)
    format = models.CharField(max_length=20)
    metadata = models.JSONField(default=dict)
    model_card = models.TextField(blank=True)
    data_card = models.TextField(blank=True)
    notes = models.CharField(max_length=500, blank=True)
    scan_override_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    scan_override_reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="one_version_per_number")
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.number}"

    @property
    def file(self) -> Artifact:
        """The artifact of a version that has one; images and endpoints have none."""
        assert self.artifact is not None
        return self.artifact

    @property
    def sha256(self) -> str:
        """The checksum of the file; empty where there is no file of ours."""
        return self.artifact.sha256 if self.artifact else ""

    @property
    def scan(self) -> dict[str, Any]:
        """What the look into the file found; nothing where there is no file of ours."""
        return self.artifact.scan if self.artifact else {"risk": "none", "findings": []}

    @property
    def is_blocked(self) -> bool:
        """True while nobody has answered for what loading the file would run."""
        return self.needs_answer and self.scan_override_by_id is None

    @property
    def needs_answer(self) -> bool:
        """True where somebody has to answer for the file before it may run."""
        return bool(self.asked)

    @property
    def asked(self) -> list[dict[str, str]]:
        """The findings that somebody has to answer for."""
        return asked_of(self.scan, self.format)

    @property
    def trusted_types(self) -> list[str]:
        """What of a skops or Keras file may be built because somebody has answered for it."""
        if self.format not in _TRUSTED or self.scan_override_by_id is None:
            return []
        return [found["what"] for found in self.asked]


class ReferenceData(Record):
    """The sample that drift is measured against: its file and a profile per feature.

    `profile` is `{"rows": n, "features": [{"name", "type", "missing", "bins": [edges],
    "counts": [...]} | {..., "categories": [...], "counts": [...]}]}`.
    """

    version = models.OneToOneField(ModelVersion, models.CASCADE, related_name="reference")
    artifact = models.ForeignKey(Artifact, models.PROTECT, related_name="references")
    rows = models.IntegerField()
    profile = models.JSONField()

    def __str__(self) -> str:
        return f"reference data of {self.version}"


class Draft(Record):
    """An upload on its way to a version: stored, looked into, described by its owner alone.

    `detected` holds what `apps.serving.detect` found; `problems` what has to be put right, by
    field. A draft that is left lying is discarded after a week.
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="drafts")
    owner = models.ForeignKey(User, models.CASCADE, related_name="+")
    model = models.ForeignKey(Model, models.CASCADE, null=True, related_name="drafts")
    name = models.CharField(max_length=80, blank=True)
    artifact = models.ForeignKey(Artifact, models.PROTECT, related_name="drafts")
    filename = models.CharField(max_length=255)
    detected = models.JSONField()
    sample = models.ForeignKey(Artifact, models.PROTECT, null=True, related_name="sampled_in")
    sample_filename = models.CharField(max_length=255, blank=True)
    columns = models.JSONField(default=list)
    target = models.CharField(max_length=200, blank=True)
    metadata = models.JSONField(default=dict)
    model_card = models.TextField(blank=True)
    data_card = models.TextField(blank=True)
    notes = models.CharField(max_length=500, blank=True)
    problems = models.JSONField(default=dict)
    source = models.JSONField(default=dict)
    requirements = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.filename

    @property
    def is_blocked(self) -> bool:
        """True where the version that comes of it may not run before somebody answers for it."""
        return bool(self.asked)

    @property
    def asked(self) -> list[dict[str, str]]:
        """The findings that somebody will have to answer for."""
        return asked_of(self.artifact.scan, self.detected.get("format", ""))


class Import(Record):
    """A fetch from a place outside, carried out by the worker; ends in a draft or in a version.

    `source` is `{"kind": "git", "url", "ref", "path"}`, `{"kind": "files", "uri", "sha256"?}`,
    `{"kind": "mlflow", "tracking", "uri"}` or `{"kind": "image", "image", "port"}`; `options`
    what the version gets beside the file: `{"metadata"?, "modelCard"?, "dataCard"?, "notes"?}`,
    and what the layer above wants to do with it: `{"deployment"?}`.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        RUNNING = "running", "Fetching"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="imports")
    model = models.ForeignKey(Model, models.CASCADE, null=True, related_name="imports")
    name = models.CharField(max_length=80, blank=True)
    source = models.JSONField()
    credential = models.ForeignKey(
        Credential, models.SET_NULL, null=True, blank=True, related_name="imports"
    )
    options = models.JSONField(default=dict)
    auto = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    state_at = models.DateTimeField()
    log = models.TextField(blank=True)
    error = models.CharField(max_length=1000, blank=True)
    cancel_requested = models.BooleanField(default=False)
    draft = models.ForeignKey(Draft, models.SET_NULL, null=True, related_name="+")
    version = models.ForeignKey(ModelVersion, models.SET_NULL, null=True, related_name="+")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return str(self.source.get("uri") or self.source.get("url") or self.source.get("image"))

    @property
    def is_at_rest(self) -> bool:
        """True where nothing more comes of it by itself."""
        return self.state in {"done", "failed", "cancelled"}

"""People, workspaces, and the credentials with which people and programs come in."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower

from apps.audit.actor import Actor
from apps.core.ids import uuid7
from apps.core.models import Record


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **fields: object) -> "User":
        return self.create_user(email, password, organisation_role="admin", **fields)


class User(AbstractUser):
    """A person. The organisation role counts everywhere, membership in one workspace."""

    class OrganisationRole(models.TextChoices):
        ADMIN = "admin", "Admin"
        GOVERNANCE = "governance", "Governance manager"
        USER = "user", "User"
        AUDITOR = "auditor", "Auditor"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=120, blank=True)
    organisation_role = models.CharField(
        max_length=12, choices=OrganisationRole, default=OrganisationRole.USER
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[misc,assignment]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def actor(self) -> Actor:
        return Actor(kind="user", id=str(self.id), name=str(self))


class Workspace(Record):
    """A team's space; nothing in it can be told from nothing by those outside."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.CharField(max_length=300, blank=True)
    members = models.ManyToManyField(User, through="Membership", related_name="workspaces")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(Record):
    """A person's role in a workspace."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        OPERATOR = "operator", "Operator"
        REVIEWER = "reviewer", "Reviewer"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="one_role_per_workspace")
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role}"


class Credential(Record):
    """What keys and tokens share: a hashed secret that expires, is revoked, and shows its use."""

    name = models.CharField(max_length=80)
    secret_hash = models.BinaryField(unique=True)
    hint = models.CharField(max_length=12)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class DeploymentToken(Credential):
    """A program's access to one deployment (`DPT…`). `secret_hash` is SHA-256 of the token.

    The deployment stands by id: deployments are a higher layer.
    """

    class Scope(models.TextChoices):
        PREDICT = "predict", "Predict"
        EXPLAIN = "explain", "Explain"
        EVALUATE = "evaluate", "Evaluate"
        ACTUALS = "actuals", "Actuals"

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="tokens")
    deployment_id = models.UUIDField(db_index=True)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    @property
    def actor(self) -> Actor:
        return Actor(kind="token", id=str(self.id), name=self.name)


class KeyPair(Credential):
    """A person's access for programs (`DPA…` with a secret): acts as that person."""

    user = models.ForeignKey(User, models.CASCADE, related_name="key_pairs")
    access_key = models.CharField(max_length=40, unique=True)

    @property
    def actor(self) -> Actor:
        return Actor(kind="key_pair", id=str(self.id), name=f"{self.user} ({self.name})")

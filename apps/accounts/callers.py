"""Who may call the data plane: all credentials that are alive, in a few queries."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.accounts.access import rights_of_role
from apps.accounts.models import DeploymentToken, KeyPair, Membership, User
from apps.audit.actor import Actor


@dataclass(frozen=True, slots=True)
class Caller:
    """A credential: one deployment with scopes, or a person's workspaces (None: all of them)."""

    actor: Actor
    deployment_id: UUID | None = None
    scopes: frozenset[str] = frozenset()
    workspaces: frozenset[UUID] | None = frozenset()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Callers:
    """Tokens and key pairs by the hash of their secret, people by id."""

    tokens: dict[bytes, Caller]
    key_pairs: dict[tuple[str, bytes], Caller]
    people: dict[UUID, Caller]


def load_callers() -> Callers:
    """Reads all credentials that are not revoked, and what their people may call."""
    people = _people()
    tokens = {
        bytes(token.secret_hash): Caller(
            actor=token.actor,
            deployment_id=token.deployment_id,
            scopes=frozenset(token.scopes),
            expires_at=token.expires_at,
        )
        for token in DeploymentToken.objects.filter(revoked_at=None)
    }
    key_pairs = {}
    for pair in KeyPair.objects.filter(revoked_at=None).select_related("user"):
        person = people.get(pair.user_id)
        if person is not None:
            key_pairs[pair.access_key, bytes(pair.secret_hash)] = Caller(
                actor=pair.actor, workspaces=person.workspaces, expires_at=pair.expires_at
            )
    return Callers(tokens, key_pairs, people)


def _people() -> dict[UUID, Caller]:
    """Every active person with the workspaces whose deployments they may try."""
    workspaces: dict[UUID, set[UUID]] = defaultdict(set)
    for user_id, workspace_id, role in Membership.objects.values_list(
        "user_id", "workspace_id", "role"
    ):
        if "deployment.try" in rights_of_role(role):
            workspaces[user_id].add(workspace_id)
    people = {}
    for user in User.objects.filter(is_active=True):
        everywhere = "deployment.try" in rights_of_role(user.organisation_role)
        writes_nothing = user.organisation_role == User.OrganisationRole.AUDITOR
        allowed = frozenset() if writes_nothing else frozenset(workspaces[user.id])
        people[user.id] = Caller(actor=user.actor, workspaces=None if everywhere else allowed)
    return people

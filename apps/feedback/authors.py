"""Who says something of a prediction: a person, by whatever credential, or a deployment's token."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.accounts.authentication import TokenPrincipal
from apps.accounts.models import KeyPair, User
from apps.audit.actor import Actor, Kind


@dataclass(frozen=True, slots=True)
class Author:
    """`key_pair` is the pair through which the person acted; its name is the event's actor."""

    kind: Kind
    id: str
    name: str
    key_pair: Actor | None = None

    @property
    def actor(self) -> Actor:
        return self.key_pair or Actor(self.kind, self.id, self.name)

    @property
    def key_pair_id(self) -> UUID | None:
        return UUID(self.key_pair.id) if self.key_pair else None


def author_of(user: User, key_pair: KeyPair | None = None) -> Author:
    return Author("user", str(user.id), str(user), key_pair.actor if key_pair else None)


def author_of_call(user: Any, auth: Any) -> Author:
    """The author of an API request, by what authenticated it."""
    if isinstance(user, TokenPrincipal):
        token = user.token
        return Author("token", str(token.id), token.name)
    return author_of(user, auth if isinstance(auth, KeyPair) else None)

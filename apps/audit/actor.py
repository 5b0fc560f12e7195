"""Who does something: a person, a program's credential, or the platform itself."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["user", "token", "key_pair", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is the UUID of the user, token or key pair as text; the platform has none."""

    kind: Kind
    id: str
    name: str


SYSTEM = Actor(kind="system", id="", name="Deeploy")

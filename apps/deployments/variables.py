"""Environment variables of a workspace: secrets and settings that containers get by name."""

import re
from collections import defaultdict
from uuid import UUID

from django.db import transaction
from django.http import Http404
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.encryption import encrypt
from apps.core.errors import Conflict, Invalid
from apps.deployments.custom import VARIABLE
from apps.deployments.models import Component, Deployment, EnvironmentVariable, Revision

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,119}")
# What an engine or our own relay sets for a container.
_TAKEN = {"PATH", "HOME", "HOSTNAME", "LD_PRELOAD", "LD_LIBRARY_PATH"}
_LONGEST_VALUE = 32_768
_RUNS = (*Revision.UNDER_WAY, Revision.State.ACTIVE)


@transaction.atomic
def create_variable(
    *, workspace: Workspace, name: str, key: str, value: str, by: User
) -> EnvironmentVariable:
    """Raises Invalid for a key that no environment holds, Conflict where the name is in use."""
    name, key = name.strip(), key.strip()
    if not name or len(name) > 80:
        raise _fault("name", "A variable needs a name of at most 80 characters.")
    if not _KEY.fullmatch(key):
        raise _fault(
            "key",
            "A key has letters, digits and underscores and begins with no digit, such as API_KEY.",
        )
    if key.upper() in _TAKEN:
        raise _fault("key", f"{key} is set by the container's engine; choose another key.")
    if workspace.variables.filter(name__iexact=name).exists():
        message = f"There is a variable called {name} already; replace its value instead."
        raise Conflict(message, [{"field": "name", "message": message}])
    variable = EnvironmentVariable.objects.create(
        workspace=workspace, name=name, key=key, value=_sealed(value), created_by=by
    )
    _record("variable.created", variable, by.actor)
    return variable


@transaction.atomic
def replace_value(*, variable: EnvironmentVariable, value: str, by: Actor) -> None:
    """Containers that start from now on get the new value; running ones keep the old one."""
    variable.value, variable.updated_at = _sealed(value), timezone.now()
    variable.save(update_fields=["value", "updated_at"])
    _record("variable.replaced", variable, by)


@transaction.atomic
def delete_variable(*, variable: EnvironmentVariable, by: Actor) -> None:
    """Raises Conflict while a revision that runs, or is about to, gets the variable."""
    used = uses_of(variable.workspace).get(str(variable.id), [])
    if used:
        places = ", ".join(deployment.name for deployment in used)
        raise Conflict(f"{variable} is used by {places}; give them a revision without it first.")
    _record("variable.deleted", variable, by)
    variable.delete()


def find_variable(workspace: Workspace, identifier: UUID) -> EnvironmentVariable:
    """The workspace's variable. Raises Http404."""
    found = workspace.variables.filter(pk=identifier).first()
    if found is None:
        raise Http404("There is no such variable in this workspace.")
    return found


def uses_of(workspace: Workspace) -> dict[str, list[Deployment]]:
    """The living deployments whose running or coming revision gets each variable, by its id."""
    components = (
        Component.objects.filter(
            revision__state__in=_RUNS, revision__deployment__workspace=workspace
        )
        .exclude(revision__deployment__desired=Deployment.Desired.DELETED)
        .exclude(config={})
        .select_related("revision__deployment")
        .order_by("revision__deployment__name")
    )
    found: dict[str, dict[UUID, Deployment]] = defaultdict(dict)
    for component in components:
        deployment = component.revision.deployment
        for identifier in component.config.get("variableIds", []):
            found[identifier][deployment.id] = deployment
    return {identifier: list(deployments.values()) for identifier, deployments in found.items()}


def _sealed(value: str) -> bytes:
    if not value:
        raise _fault("value", "Say the value; an empty variable is one that is left out.")
    if len(value) > _LONGEST_VALUE or "\0" in value:
        raise _fault("value", f"A value has at most {_LONGEST_VALUE:,} characters and no NUL.")
    return encrypt(value, purpose=VARIABLE)


def _fault(field: str, message: str) -> Invalid:
    return Invalid(message, [{"field": field, "message": message}])


def _record(name: str, variable: EnvironmentVariable, by: Actor) -> None:
    audit.record(
        name=name,
        by=by,
        workspace_id=variable.workspace_id,
        object_type="variable",
        object_id=variable.id,
        object_name=variable.name,
        data={"key": variable.key},
    )

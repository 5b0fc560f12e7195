"""Keeping credentials: made, tried, renamed, replaced, deleted; each with its event."""

import json
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.encryption import Undecipherable, decrypt, encrypt
from apps.core.errors import Conflict, DomainError, Invalid
from apps.registry.credentials.kinds import checked, hint_of
from apps.registry.models import Credential, Import
from apps.registry.sources.running import run_trial

PURPOSE = "credential"
_LONGEST_NAME = 80


@transaction.atomic
def create_credential(
    *, workspace: Workspace, name: str, kind: str, secret: dict[str, Any], by: User
) -> Credential:
    """Encrypts and keeps it. Raises Invalid, by field; Conflict where the name is in use."""
    name = _checked_name(workspace, name)
    parts = checked(kind, secret)
    credential = Credential.objects.create(
        workspace=workspace,
        name=name,
        kind=kind,
        secret=_sealed(parts),
        hint=hint_of(kind, parts),
        created_by=by,
    )
    _record("credential.created", credential, by.actor)
    return credential


@transaction.atomic
def rename_credential(*, credential: Credential, name: str, by: Actor) -> None:
    """Raises Invalid or Conflict where the name cannot be had."""
    before = credential.name
    name = _checked_name(credential.workspace, name, but=credential)
    if name != before:
        credential.name = name
        credential.save(update_fields=["name"])
        _record("credential.renamed", credential, by, {"before": before})


@transaction.atomic
def replace_credential(*, credential: Credential, secret: dict[str, Any], by: Actor) -> None:
    """New content under the same name; whatever uses it takes the new from now on."""
    parts = checked(credential.kind, secret)
    credential.secret, credential.hint = _sealed(parts), hint_of(credential.kind, parts)
    credential.tested_at, credential.test_error = None, ""
    credential.save(update_fields=["secret", "hint", "tested_at", "test_error"])
    _record("credential.replaced", credential, by)


def try_credential(*, credential: Credential, by: Actor) -> str:
    """Connects with it, and keeps how that ended; empty where the place outside accepts it."""
    error, learnt = "", {}
    try:
        secret = opened(credential)
        learnt = run_trial(credential.kind, secret)
    except DomainError as refusal:
        error = refusal.message
    with transaction.atomic():
        credential.tested_at, credential.test_error = timezone.now(), error[:500]
        fields = ["tested_at", "test_error"]
        if learnt:
            credential.secret = _sealed(secret | learnt)
            fields.append("secret")
        credential.save(update_fields=fields)
        _record("credential.tested", credential, by, {"error": error[:500]})
    return error


@transaction.atomic
def delete_credential(*, credential: Credential, by: Actor) -> None:
    """Raises Conflict while a repository, an import or a version needs it."""
    waiting = Import.objects.filter(credential=credential, state__in=["pending", "running"])
    if waiting.exists():
        raise Conflict(f"An import uses {credential} now; wait until it has ended, or cancel it.")
    _record("credential.deleted", credential, by)
    try:
        credential.delete()
    except ProtectedError as error:
        names = sorted({str(each) for each in error.protected_objects})
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise Conflict(f"{credential} cannot be deleted: it is used by {shown}.") from None


def opened(credential: Credential) -> dict[str, str]:
    """The parts, readable; for the moment of their use. Raises Invalid where the key is lost."""
    try:
        parts: dict[str, str] = json.loads(decrypt(bytes(credential.secret), purpose=PURPOSE))
    except Undecipherable as error:
        raise Invalid(f"{credential}: {error}") from None
    return parts


def _sealed(parts: dict[str, str]) -> bytes:
    return encrypt(json.dumps(parts), purpose=PURPOSE)


def _checked_name(workspace: Workspace, name: str, but: Credential | None = None) -> str:
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME:
        message = f"A credential needs a name of at most {_LONGEST_NAME} characters."
        raise Invalid(message, [{"field": "name", "message": message}])
    taken = Credential.objects.filter(workspace=workspace, name__iexact=name).first()
    if taken and taken != but:
        message = f"There is a credential called {name} already; choose another name."
        raise Conflict(message, [{"field": "name", "message": message}])
    return name


def _record(
    name: str, credential: Credential, by: Actor, data: dict[str, Any] | None = None
) -> None:
    audit.record(
        name=name,
        by=by,
        workspace_id=credential.workspace_id,
        object_type="credential",
        object_id=credential.id,
        object_name=credential.name,
        data={"kind": credential.kind} | (data or {}),
    )

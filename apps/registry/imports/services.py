"""Imports: asked for, cancelled, tried again; each change with its event."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.tasks import async_task

from apps.accounts.models import User, Workspace
from apps.audit import services as audit
from apps.audit.actor import Actor
from apps.core.errors import Conflict, Invalid
from apps.registry.models import Credential, Import, Model, Repository
from apps.registry.sources.mlflow import URI as MLFLOW_URI

State = Import.State
_TASK = "apps.registry.tasks.perform_import"
_SPARE_SECONDS = 300
_LOST_AFTER = timedelta(seconds=60)
_KINDS = {
    "git": ({"url", "ref", "path", "sha256", "repositoryId", "tracking", "modelType"}, "url"),
    "files": ({"uri", "sha256"}, "uri"),
    "mlflow": ({"uri", "tracking", "sha256"}, "uri"),
    "image": ({"image", "port", "readinessPath"}, "image"),
}


@transaction.atomic
def start_import(
    *,
    workspace: Workspace,
    source: dict[str, Any],
    by: User,
    model: Model | None = None,
    name: str = "",
    credential: Credential | None = None,
    auto: bool = False,
    options: dict[str, Any] | None = None,
) -> Import:
    """Hands a fetch to the worker. Raises Invalid, by field, where the source says too little.

    With `auto` a version comes of it, of `model` or of a new one called `name`; else a draft.
    """
    found = Import.objects.create(
        workspace=workspace,
        model=model,
        name=name.strip()[:80],
        source=checked_source(source),
        credential=credential,
        auto=auto,
        options=options or {},
        state_at=timezone.now(),
        created_by=by,
    )
    record(found, "import.started", by.actor)
    enqueue(found)
    return found


@transaction.atomic
def cancel_import(*, job: Import, by: Actor) -> None:
    """Ends an import within seconds. Raises Conflict where it has ended."""
    rows = Import.objects.filter(pk=job.pk)
    waiting = rows.filter(state=State.PENDING).update(
        state=State.CANCELLED, state_at=timezone.now(), error=f"{by.name} cancelled it."
    )
    if not waiting and not rows.filter(state=State.RUNNING).update(cancel_requested=True):
        raise Conflict("This import has ended, so there is nothing to cancel.")
    job.refresh_from_db()
    record(job, "import.cancelled", by)


@transaction.atomic
def retry_import(*, job: Import, by: Actor) -> None:
    """Begins again what failed or was cancelled. Raises Conflict in every other state."""
    changed = Import.objects.filter(pk=job.pk, state__in=[State.FAILED, State.CANCELLED]).update(
        state=State.PENDING, state_at=timezone.now(), error="", log="", cancel_requested=False
    )
    if not changed:
        raise Conflict("Only an import that failed or was cancelled can be tried again.")
    job.refresh_from_db()
    record(job, "import.retried", by)
    enqueue(job)


def recover_imports(*, now: datetime) -> int:
    """Fails what a worker left behind that died; how many."""
    limit = now - timedelta(seconds=settings.IMPORT_SECONDS) - _LOST_AFTER
    lost = Import.objects.filter(state=State.RUNNING, state_at__lt=limit)
    return lost.update(
        state=State.FAILED,
        state_at=now,
        error="The worker that fetched it ended before it was done; try again.",
    )


def enqueue(job: Import) -> None:
    """Gives the import to the worker when the transaction commits."""
    limit = settings.IMPORT_SECONDS + _SPARE_SECONDS
    transaction.on_commit(lambda: async_task(_TASK, str(job.id), timeout=limit))


def checked_source(source: Any) -> dict[str, Any]:
    """The source without empty parts. Raises Invalid, by field."""
    if not isinstance(source, dict) or source.get("kind") not in _KINDS:
        raise _invalid("kind", f"A source has a kind: {', '.join(_KINDS)}.")
    names, needed = _KINDS[source["kind"]]
    kept = {key: value for key, value in source.items() if value not in (None, "")}
    unknown = sorted(set(kept) - names - {"kind"})
    if unknown:
        raise _invalid(unknown[0], f"A source of this kind has {', '.join(sorted(names))}.")
    for key, value in kept.items():
        if not isinstance(value, int if key in {"port", "modelType"} else str):
            raise _invalid(key, "It has the wrong type.")
        if isinstance(value, str) and (len(value) > 1000 or "\0" in value):
            raise _invalid(key, "It is too long, or holds a NUL character.")
    if not kept.get(needed):
        raise _invalid(needed, "Say where the model lies.")
    if kept["kind"] == "mlflow":
        if not MLFLOW_URI.match(kept["uri"]):
            raise _invalid("uri", "Write models:/name/3, models:/name/Stage or models:/name@alias.")
        if not kept.get("tracking"):
            raise _invalid("tracking", "Say the address of the tracking server.")
    return kept


@transaction.atomic
def create_repository(
    *, workspace: Workspace, name: str, url: str, by: User, credential: Credential | None = None
) -> Repository:
    """Raises Invalid or Conflict where name or address cannot be used."""
    name, url = " ".join(name.split()), url.strip()
    if not name or len(name) > 80:
        raise _invalid("name", "A repository needs a name of at most 80 characters.")
    _check_repository_url(url)
    if Repository.objects.filter(workspace=workspace, name__iexact=name).exists():
        message = f"There is a repository called {name} already; choose another name."
        raise Conflict(message, [{"field": "name", "message": message}])
    repository = Repository.objects.create(
        workspace=workspace, name=name, url=url, credential=credential, created_by=by
    )
    _record_repository("repository.added", repository, by.actor)
    return repository


@transaction.atomic
def delete_repository(*, repository: Repository, by: Actor) -> None:
    """Forgets a repository; versions that came from it stay."""
    _record_repository("repository.removed", repository, by)
    repository.delete()


def _check_repository_url(url: str) -> None:
    is_address = url.startswith(("https://", "http://", "ssh://"))
    is_scp = "@" in url and ":" in url and "://" not in url
    if len(url) > 500 or not (is_address or is_scp) or any(ord(sign) <= 32 for sign in url):
        raise _invalid(
            "url", "Write https://git.example/team/models.git or git@git.example:team/models.git."
        )
    if is_address and not url.startswith("ssh://") and "@" in url.split("/")[2]:
        raise _invalid("url", "Keep the user name and password in a credential, not here.")


def record(job: Import, name: str, by: Actor, data: dict[str, Any] | None = None) -> None:
    """An event about an import."""
    audit.record(
        name=name,
        by=by,
        workspace_id=job.workspace_id,
        object_type="import",
        object_id=job.id,
        object_name=str(job)[:200],
        data={"source": job.source} | (data or {}),
    )


def _record_repository(name: str, repository: Repository, by: Actor) -> None:
    audit.record(
        name=name,
        by=by,
        workspace_id=repository.workspace_id,
        object_type="repository",
        object_id=repository.id,
        object_name=repository.name,
        data={"url": repository.url},
    )


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, [{"field": field, "message": message}])

"""What the worker does for one import: claim, fetch, look into it, make a draft or a version."""

import hashlib
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Concat, Right
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.audit.actor import SYSTEM
from apps.core.errors import DomainError
from apps.registry import storage
from apps.registry.credentials.services import opened
from apps.registry.imports.services import record
from apps.registry.models import Draft, Import, ModelVersion
from apps.registry.services.drafts import stage_upload
from apps.registry.services.images import DEFAULT_PORT, add_image_version
from apps.registry.services.intake import Upload, keep
from apps.registry.services.models import create_model
from apps.registry.services.versions import add_version
from apps.registry.sources import contract, packing
from apps.registry.sources.contract import Contract, Reference
from apps.registry.sources.errors import FetchCancelled, SourceFailed
from apps.registry.sources.running import run, workplace

log = logging.getLogger(__name__)
State = Import.State
_LOG_CHARACTERS = 20_000


def perform(identifier: UUID) -> str:
    """Carries out an import that waits; how it ended. Delivered again, it does nothing."""
    rows = Import.objects.filter(pk=identifier, state=State.PENDING)
    if not rows.update(state=State.RUNNING, state_at=timezone.now()):
        return "nothing to do"
    related = ("workspace", "model", "credential", "created_by")
    job = Import.objects.select_related(*related).get(pk=identifier)
    try:
        with workplace() as folder:
            result = _carry_out(job, Path(folder))
    except FetchCancelled:
        _end(job, State.CANCELLED, "It was cancelled.")
    except DomainError as error:
        _end(job, State.FAILED, error.message)
    except Exception as error:
        log.exception("Import %s failed", job.id)
        _end(job, State.FAILED, f"Something failed that nobody foresaw: {error}. The worker's log "
             "has more.")  # fmt: skip
    else:
        _end(job, State.DONE, "", result)
    return job.state


def _carry_out(job: Import, folder: Path) -> Draft | ModelVersion:
    source = job.source
    described = Contract(model=folder)
    if source["kind"] == "git":
        described, source = _contract(job, folder / "git")
        for note in described.notes:
            _write(job, note)
        _keep(job, "transformer", described.transformer, folder)
        _keep(job, "explainer", described.explainer, folder)
    if source["kind"] == "image":
        return _image(job, source, described)
    path = described.model if source["kind"] == "git" else None
    if not isinstance(path, Path):
        path, source = _fetched(job, source, folder / "files")
    _check_sum(job, path)
    return _made(job, path, source, described)


def _contract(job: Import, folder: Path) -> tuple[Contract, dict[str, Any]]:
    """What the repository says, and where the model comes from: the commit, or a reference."""
    folder.mkdir()
    asked = job.source
    found = _run(job, folder, {"act": "git"} | asked)
    described = contract.read(folder / "tree")
    pinned = {"kind": "git", "url": asked["url"], "path": asked.get("path", ""), **found}
    if described.explainer_files:
        pinned["explainer"] = list(described.explainer_files)
    if isinstance(described.model, Reference):
        source = contract.source_of(described.model)
        if source["kind"] == "mlflow":
            source["tracking"] = asked.get("tracking") or settings.MLFLOW_TRACKING_URL
        return described, source | {"git": pinned}
    return described, pinned


def _keep(job: Import, kind: str, given: Path | Reference | None, folder: Path) -> None:
    """Puts a transformer or explainer aside for the deployment that waits; a version alone has
    none."""
    found: dict[str, Any] | None = None
    if "deployment" not in job.options:
        if given is not None:
            _write(job, f"{kind}/ is left out: it belongs to a deployment, not to a version.")
    elif isinstance(given, Reference):
        found = given.content
    elif given is not None:
        packed = packing.pack(given, folder / f"{kind}.zip")
        stored = storage.store(packing.chunks_of(packed))
        artifact = keep(job.workspace, stored, packed.name, {})
        found = {"artifactId": str(artifact.id)}
    job.options[kind] = found
    Import.objects.filter(pk=job.pk).update(options=job.options)


def _fetched(job: Import, source: dict[str, Any], folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file, or the folder as one file, and the source with what was found out about it."""
    folder.mkdir()
    if source["kind"] == "mlflow" and not source.get("tracking"):
        raise SourceFailed(
            "The reference names a model of MLflow, but no tracking server is known; an "
            "administrator can set MLFLOW_TRACKING_URL."
        )
    act = {key: value for key, value in source.items() if key not in {"git", "kind"}}
    found = _run(job, folder, act | {"act": source["kind"]})
    kept = source | {key: found[key] for key in ("version", "run") if found.get(key)}
    tree = folder / "tree"
    if not found["isFolder"]:
        return tree / found["name"], kept
    _write(job, "Packing the folder")
    return packing.pack(tree, folder / f"{found['name']}.zip"), kept


def _image(job: Import, source: dict[str, Any], described: Contract) -> ModelVersion:
    """A custom image needs no file; always a version, as there is nothing to look into."""
    with transaction.atomic():
        return add_image_version(
            model=_model(job),
            image=source["image"],
            port=source.get("port") or DEFAULT_PORT,
            readiness_path=source.get("readinessPath") or "",
            git=source.get("git"),
            metadata=_metadata(job, described) or {},
            credential=job.credential,
            by=job.created_by,
            **_texts(job, described),
            notes=job.options.get("notes", ""),
        )


def _made(
    job: Import, path: Path, source: dict[str, Any], described: Contract
) -> Draft | ModelVersion:
    _write(job, f"Looking into {path.name}")
    upload = Upload(path.name, packing.chunks_of(path))
    given: dict[str, Any] = {
        "artifact": upload,
        "metadata": _metadata(job, described),
        "source": source,
        "requirements": described.requirements,
        "by": job.created_by,
        **_texts(job, described),
    }
    if not job.auto:
        return stage_upload(workspace=job.workspace, model=job.model, **given)
    with transaction.atomic():
        return add_version(model=_model(job), notes=job.options.get("notes", ""), **given)


def _model(job: Import) -> Any:
    if job.model:
        return job.model
    existing = job.workspace.models.filter(name__iexact=job.name).first()
    return existing or create_model(workspace=job.workspace, name=job.name, by=job.created_by)


def _metadata(job: Import, described: Contract) -> dict[str, Any] | None:
    given = job.options.get("metadata")
    return given if given is not None else described.metadata


def _texts(job: Import, described: Contract) -> dict[str, Any]:
    return {
        "model_card": job.options.get("modelCard") or described.model_card,
        "data_card": job.options.get("dataCard") or described.data_card,
    }


def _check_sum(job: Import, path: Path) -> None:
    wanted = job.source.get("sha256", "").lower()
    if not wanted:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise SourceFailed(
            f"{path.name} has the checksum {found[:12]}…, not {wanted[:12]}…: it was changed after "
            "that was written down. Find out who changed it, or give the new checksum."
        )


def _run(job: Import, folder: Path, act: dict[str, Any]) -> Any:
    credential = job.credential
    secret = {"kind": credential.kind, "secret": opened(credential)} if credential else None
    rows = Import.objects.filter(pk=job.pk)
    return run(
        act | {"credential": secret},
        folder,
        seconds=settings.IMPORT_SECONDS,
        write=lambda line: _write(job, line),
        cancelled=lambda: not rows.filter(cancel_requested=False).exists(),
    )


def _write(job: Import, line: str) -> None:
    """Adds a line to the log that the page shows; the end of it is kept."""
    longer = Concat("log", Value(f"{line[:500]}\n"))
    Import.objects.filter(pk=job.pk).update(log=Right(longer, _LOG_CHARACTERS))


def _end(job: Import, state: str, error: str, result: Draft | ModelVersion | None = None) -> None:
    values: dict[str, Any] = {"state": state, "state_at": timezone.now(), "error": error[:1000]}
    if isinstance(result, Draft):
        values["draft"] = result
    elif result is not None:
        values |= {"version": result, "model": result.model}
    with transaction.atomic():
        Import.objects.filter(pk=job.pk).update(**values)
        job.refresh_from_db()
        if state != State.CANCELLED:
            name = "import.finished" if state == State.DONE else "import.failed"
            record(job, name, SYSTEM, {"reason": error[:500]} if error else {})
        for follower in settings.IMPORT_FOLLOWERS:
            import_string(follower)(job)

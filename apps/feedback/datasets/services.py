"""Acts on data sets: asking for one, taking it, and keeping out what must not leave."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings as site
from django.db import connection, transaction
from django.db.models import Max
from django_q.tasks import async_task

from apps.audit import services as audit
from apps.audit.actor import SYSTEM, Actor
from apps.core.errors import Conflict, DomainError
from apps.deployments.models import Deployment
from apps.feedback.datasets import files
from apps.feedback.datasets.models import DataSetExport, OptOut
from apps.feedback.datasets.settings import DataSetSettings, checked, refused
from apps.feedback.models import Actual, Evaluation
from apps.predictions.models import PredictionRecord

State = DataSetExport.State
_TASK = "apps.feedback.datasets.tasks.write"
LOCK = "deeploy data sets"
_LONGEST = 200
_SECONDS = 2 * 60 * 60
_SILENT = timedelta(minutes=15)
ERASED = "A prediction in it was erased after it was made. Make a new version."
OPTED_OUT = "A case in it was opted out after it was made. Make a new version."


class Gone(DomainError):
    """The file was removed."""

    status = 410


@transaction.atomic
def ask_for_dataset(
    *, deployment: Deployment, settings: DataSetSettings, by: Actor, now: datetime
) -> DataSetExport:
    """Has the worker write the next version. Raises Invalid with the field, Conflict while
    another one of this deployment is under way."""
    checked(settings)
    known = set(deployment.revisions.values_list("number", flat=True))
    if strange := set(settings.revisions) - known:
        raise refused("revisions", f"There is no revision {min(strange)} of this deployment.")
    Deployment.objects.select_for_update().get(id=deployment.id)
    made = DataSetExport.objects.filter(deployment=deployment)
    if made.filter(state__in=DataSetExport.UNDER_WAY).exists():
        raise Conflict("A data set of this deployment is being made; wait until it is ready.")
    dataset = DataSetExport.objects.create(
        deployment=deployment,
        version=(made.aggregate(last=Max("version"))["last"] or 0) + 1,
        format=settings.format,
        filters=settings.wire,
        by=asdict(by),
        state_at=now,
    )
    transaction.on_commit(lambda: async_task(_TASK, str(dataset.id), timeout=_SECONDS))
    return dataset


@transaction.atomic
def take_dataset(*, dataset: DataSetExport, by: Actor, now: datetime) -> Path:
    """The file, for whoever takes it, with the event that says who did. Raises Gone where it was
    removed, Conflict where it is not written yet."""
    if dataset.state in DataSetExport.UNDER_WAY:
        raise Conflict("This data set is not written yet; ask again when its state is ready.")
    if not dataset.is_ready:
        raise Gone(dataset.reason or "This data set could not be written.")
    if not dataset.path.exists():
        raise Gone("The file of this data set is gone from the disk. Make a new version.")
    note("dataset.taken", dataset, by, now, {"sha256": dataset.sha256})
    return dataset.path


@transaction.atomic
def opt_out(*, deployment: Deployment, custom_id: str, by: Actor, now: datetime) -> OptOut:
    """Keeps a case out of every data set from now on, its later predictions as well; what holds it
    becomes outdated. The event does not name the case. Raises Invalid, or Conflict where it is out
    already."""
    custom_id = custom_id.strip()
    if not custom_id or len(custom_id) > _LONGEST or "\x00" in custom_id:
        raise refused("customId", f"Give the case's custom id, at most {_LONGEST} characters.")
    _lock_shared()
    made, is_new = OptOut.objects.get_or_create(
        deployment=deployment,
        custom_id=custom_id,
        defaults={"by_name": by.name[:200], "at": now},
    )
    if not is_new:
        raise Conflict("This case is opted out already.")
    of_case = PredictionRecord.objects.filter(deployment=deployment, custom_id=custom_id)
    _outdate(list(of_case.values_list("id", flat=True)), OPTED_OUT, now)
    _note_of_deployment("dataset.opted_out", deployment, by, now)
    return made


@transaction.atomic
def opt_in(*, opted_out: OptOut, by: Actor, now: datetime) -> None:
    """Lets a case into later data sets again."""
    deployment = opted_out.deployment
    opted_out.delete()
    _note_of_deployment("dataset.opted_in", deployment, by, now)


def forget(*, predictions: Sequence[UUID], now: datetime) -> None:
    """What follows from the erasure of predictions, in its transaction: data sets that hold one
    become outdated, and their files are removed."""
    _lock_shared()
    _outdate(predictions, ERASED, now)


def tidy(*, now: datetime) -> int:
    """Ends what stopped being written, and removes files that belong to no data set that is
    ready; returns how many."""
    silent = DataSetExport.objects.filter(state=State.WRITING, state_at__lt=now - _SILENT)
    silent.update(state=State.FAILED, state_at=now, reason="The worker stopped. Ask again.")
    folder: Path = site.VAR_DIR / "datasets"
    if not folder.exists():
        return 0
    kept = {each.path for each in DataSetExport.objects.filter(state=State.READY)}
    writing = {str(each.id) for each in DataSetExport.objects.filter(state=State.WRITING)}
    stray = [p for p in folder.iterdir() if p not in kept and p.name[:36] not in writing]
    for path in stray:
        files.remove(path)
    return len(stray)


def _lock_shared() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", [LOCK])


def _outdate(predictions: Sequence[UUID], reason: str, now: datetime) -> None:
    """Takes back what may hold one of the predictions. It errs on the safe side: a prediction with
    a label, of a revision that was asked for, between the first row and the last one, or in what
    is being written. Before any event, as the worker that finishes one does it."""
    labelled = _labelled(predictions)
    if not labelled:
        return
    there = DataSetExport.objects.select_for_update(of=("self",)).select_related("deployment")
    found = there.filter(
        deployment__in={each.deployment_id for each in labelled},
        state__in=(State.WRITING, State.READY),
    )
    for dataset in found.order_by("id"):
        if any(_may_hold(dataset, each) for each in labelled):
            dataset.state, dataset.state_at, dataset.reason = State.OUTDATED, now, reason
            dataset.save(update_fields=["state", "state_at", "reason"])
            note("dataset.outdated", dataset, SYSTEM, now, {"reason": reason})
            transaction.on_commit(partial(files.remove, dataset.path))


def _labelled(predictions: Sequence[UUID]) -> list[PredictionRecord]:
    said = {
        identifier
        for model in (Actual, Evaluation)
        for identifier in model._default_manager.filter(prediction_id__in=predictions).values_list(
            "prediction_id", flat=True
        )
    }
    found = PredictionRecord.objects.select_related("revision").filter(id__in=said)
    return list(found.only("id", "deployment_id", "revision__number"))


def _may_hold(dataset: DataSetExport, record: PredictionRecord) -> bool:
    numbers = dataset.filters.get("revisions")
    if numbers and (record.revision is None or record.revision.number not in numbers):
        return False
    if not dataset.is_ready:
        return True
    first, last = dataset.first_id, dataset.last_id
    return first is not None and last is not None and first <= record.id <= last


def note(name: str, dataset: DataSetExport, by: Actor, now: datetime, data: dict[str, Any]) -> None:
    audit.record(
        name=name,
        by=by,
        workspace_id=dataset.deployment.workspace_id,
        object_type="dataset",
        object_id=dataset.id,
        object_name=dataset.deployment.name,
        data={"version": dataset.version, "deploymentId": dataset.deployment_id} | data,
        at=now,
    )


def _note_of_deployment(name: str, deployment: Deployment, by: Actor, now: datetime) -> None:
    audit.record(
        name=name,
        by=by,
        workspace_id=deployment.workspace_id,
        object_type="deployment",
        object_id=deployment.id,
        object_name=deployment.name,
        at=now,
    )

"""What was erased or opted out never leaves, nor does a file that still holds it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Event
from apps.core.errors import Conflict, Invalid
from apps.deployments.models import Deployment
from apps.feedback.datasets import services, writing
from apps.feedback.datasets.models import DataSetExport, OptOut
from apps.feedback.datasets.settings import DataSetSettings
from apps.feedback.datasets.writing import write_dataset
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord
from tests.feedback.datasets.conftest import Labels

Make = Callable[..., DataSetExport]
State = DataSetExport.State


def erase(record: PredictionRecord, by: User) -> None:
    predictions.erase_prediction(
        prediction=record, reason="Asked for", by=by.actor, now=timezone.now()
    )


def state(dataset: DataSetExport) -> str:
    dataset.refresh_from_db()
    return dataset.state


@pytest.fixture
def record_of(labels: Labels) -> Callable[[str], PredictionRecord]:
    def labelled(custom_id: str) -> PredictionRecord:
        record = labels.predicted(custom_id)
        labels.turned_out(record, "good")
        return record

    return labelled


def test_an_erased_prediction_is_not_in_it(
    record_of: Any, make: Make, owner: User, labels: Labels
) -> None:
    erased, kept = record_of("A"), record_of("B")
    erase(erased, owner)
    dataset = make()
    assert dataset.rows == 1
    assert (dataset.first_id, dataset.last_id) == (kept.id, kept.id)


def test_an_erasure_removes_the_files_that_hold_the_prediction(
    record_of: Any, make: Make, owner: User, django_capture_on_commit_callbacks: Any
) -> None:
    before = [record_of("A"), record_of("B")]
    holds = make()
    later = record_of("C")
    also = make(format="csv")
    with django_capture_on_commit_callbacks(execute=True):
        erase(later, owner)
    assert (state(holds), state(also)) == (State.READY, State.OUTDATED)
    assert (holds.path.exists(), also.path.exists()) == (True, False)
    with django_capture_on_commit_callbacks(execute=True):
        erase(before[0], owner)
    assert (state(holds), holds.path.exists()) == (State.OUTDATED, False)
    assert holds.sha256
    told = Event.objects.filter(name="dataset.outdated", object_id=str(holds.id)).get()
    assert "erased" in (told.data or "")


def test_erasing_what_nobody_labelled_leaves_files_alone(
    record_of: Any, make: Make, owner: User, labels: Labels
) -> None:
    record_of("A")
    unlabelled = labels.predicted("B")
    record_of("C")
    dataset = make()
    erase(unlabelled, owner)
    assert state(dataset) == State.READY


def test_an_erasure_overtakes_what_is_being_written(
    deployment: Deployment,
    record_of: Any,
    operator: User,
    owner: User,
    monkeypatch: Any,
    make: Make,
) -> None:
    record = record_of("A")
    dataset = services.ask_for_dataset(
        deployment=deployment, settings=DataSetSettings(), by=operator.actor, now=timezone.now()
    )
    real = writing._finish

    def erased_before_the_end(*given: Any) -> str:
        erase(record, owner)
        return real(*given)

    monkeypatch.setattr(writing, "_finish", erased_before_the_end)
    assert write_dataset(identifier=dataset.id, now=timezone.now()) == "outdated"
    assert (state(dataset), dataset.path.exists()) == (State.OUTDATED, False)


def test_an_opted_out_case_is_in_no_data_set(
    deployment: Deployment,
    record_of: Any,
    make: Make,
    operator: User,
    django_capture_on_commit_callbacks: Any,
) -> None:
    record_of("A")
    record_of("B")
    before = make()
    now = timezone.now()
    with django_capture_on_commit_callbacks(execute=True):
        out = services.opt_out(deployment=deployment, custom_id="A", by=operator.actor, now=now)
    assert (state(before), before.path.exists()) == (State.OUTDATED, False)
    record_of("A")
    assert make().rows == 1
    services.opt_in(opted_out=out, by=operator.actor, now=now)
    assert make().rows == 3
    assert not any(
        '"A"' in (event.data or "") for event in Event.objects.filter(name__startswith="dataset.")
    )


def test_a_case_is_opted_out_once_and_by_a_name(deployment: Deployment, operator: User) -> None:
    given = {"deployment": deployment, "by": operator.actor, "now": timezone.now()}
    services.opt_out(custom_id=" A ", **given)
    assert OptOut.objects.get().custom_id == "A"
    with pytest.raises(Conflict):
        services.opt_out(custom_id="A", **given)
    for wrong in ("", "  ", "x" * 201, "a\x00b"):
        with pytest.raises(Invalid):
            services.opt_out(custom_id=wrong, **given)


def test_tidying_removes_stray_files_and_ends_what_is_silent(
    record_of: Any, make: Make, deployment: Deployment
) -> None:
    record_of("A")
    dataset = make()
    stray = dataset.path.with_name("left.csv.part")
    stray.write_bytes(b"x")
    silent = DataSetExport.objects.create(
        deployment=deployment,
        version=9,
        by=dataset.by,
        state=State.WRITING,
        state_at=timezone.now() - services._SILENT * 2,
    )
    assert services.tidy(now=timezone.now()) == 1
    assert (dataset.path.exists(), stray.exists()) == (True, False)
    assert state(silent) == State.FAILED

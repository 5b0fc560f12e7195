"""Entries from before they kept what was predicted are filled from the log."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.deployments.models import Deployment
from apps.feedback.authors import Author
from apps.feedback.models import Actual, Evaluation
from apps.feedback.services import Given, Judgement, evaluate_prediction, record_actuals
from apps.feedback.verification import faults
from apps.predictions import services as predictions
from tests.predictions.factories import prediction_of

migration: Any = import_module("apps.feedback.migrations.0005_fill_predicted")


def test_old_entries_are_filled_in_batches_and_erased_ones_stay_empty(
    deployment: Deployment, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    records = [prediction_of(deployment, p_bad=p) for p in (0.9, 0.1, 0.9, 0.1, 0.9)]
    for record in records:
        judgement = Judgement("agree")
        evaluate_prediction(prediction=record, judgement=judgement, by=author, now=now)
    rows = [Given("good", prediction_id=record.id) for record in records]
    record_actuals(deployment=deployment, rows=rows, by=author, now=now)
    predictions.erase_prediction(prediction=records[0], reason="Asked", by=author.actor, now=now)
    for model in (Evaluation, Actual):
        model.objects.update(predicted_at=None, predicted_outcome=None)

    monkeypatch.setattr(migration, "_ROWS_AT_ONCE", 2)
    migration.fill(None, SimpleNamespace(connection=connection))

    expected = [None, "good", "bad", "good", "bad"]
    for model in (Evaluation, Actual):
        kept = model.objects.order_by("prediction_id").values_list("predicted_outcome", flat=True)
        assert list(kept) == expected
    assert list(faults()) == []

"""The log: one row per request, one per prediction in it. Written by the data plane only.

Both tables are range-partitioned by id (UUIDv7, so by time). A record's `digest` is
SHA-256(salt ‖ canonical JSON of its content); `writer` and `seal` say which group commit
binds it. Erasure nulls the payload columns and the salt, and keeps the digest.
"""

import json
from typing import Any

from django.db import models

from apps.core.ids import uuid7
from apps.deployments.models import Deployment, Revision


class LogRecord(models.Model):
    """What both kinds of record share. Foreign keys carry no constraint: a COPY stays a COPY."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    deployment = models.ForeignKey(
        Deployment, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    revision = models.ForeignKey(
        Revision,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    at = models.DateTimeField()
    salt = models.BinaryField(null=True)
    digest = models.BinaryField()
    writer = models.UUIDField()
    seal = models.BigIntegerField()
    erased_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class RequestRecord(LogRecord):
    """One call of an endpoint, answered or refused.

    `protocol`: deeploy, v1 or v2. `duration_us`: from the last byte of the request to the handing
    over to the log writer; `model_us`: waiting for the model server, `preprocess_us` and
    `postprocess_us` for the transformer, `explain_us` for the explainer. `envelope`: JSON text of
    the body without its instances. `body`: the raw request, at most 64 KiB of it, where it was
    refused and so has no predictions; `error`: the message that the caller got.
    """

    endpoint = models.CharField(max_length=10)
    protocol = models.CharField(max_length=8)
    status_code = models.SmallIntegerField()
    error = models.TextField(null=True)
    duration_us = models.IntegerField()
    model_us = models.IntegerField(null=True)
    preprocess_us = models.IntegerField(null=True)
    postprocess_us = models.IntegerField(null=True)
    explain_us = models.IntegerField(null=True)
    caller_kind = models.CharField(max_length=10)
    caller_id = models.CharField(max_length=40)
    caller_name = models.CharField(max_length=200, null=True)
    content_type = models.CharField(max_length=100)
    count = models.IntegerField()
    envelope = models.TextField(null=True)
    body = models.TextField(null=True)

    class Meta:
        db_table = "predictions_request"
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)


class PredictionRecord(LogRecord):
    """One instance scored once.

    `input` and `output` are JSON text exactly as recorded: what the caller sent and got.
    `model_input` and `model_output` are what a transformer gave the model and took from it; null
    where that is the same, or where there is none. `outcome` is the predicted class or
    value as text; `score` the probability of that class as text, where the model gives one;
    `custom_id` the caller's own id for the case. `explanations`: the JSON list of the answers that
    its explainers gave with it, each `{"name", "method", …}`; null where none was asked for.
    `is_withheld`: a copy in memory without what its reader may not see yet (`sight.py`).
    """

    is_withheld = False

    request = models.ForeignKey(
        RequestRecord,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="predictions",
    )
    position = models.IntegerField()
    input = models.TextField(null=True)
    output = models.TextField(null=True)
    outcome = models.CharField(max_length=200, null=True)
    score = models.CharField(max_length=30, null=True)
    custom_id = models.CharField(max_length=200, null=True)
    model_input = models.TextField(null=True)
    model_output = models.TextField(null=True)
    explanations = models.TextField(null=True)

    class Meta:
        db_table = "predictions_prediction"
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def input_value(self) -> Any:
        return None if self.input is None else json.loads(self.input)

    @property
    def model_input_value(self) -> Any:
        return None if self.model_input is None else json.loads(self.model_input)

    @property
    def model_output_value(self) -> Any:
        return None if self.model_output is None else json.loads(self.model_output)

    @property
    def output_value(self) -> Any:
        return None if self.output is None else json.loads(self.output)

    @property
    def explanation_values(self) -> list[dict[str, Any]]:
        return [] if self.explanations is None else list(json.loads(self.explanations))

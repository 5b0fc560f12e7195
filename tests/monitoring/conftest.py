"""A log written by the gateway's own writer, of a deployment whose model has reference data."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.core.ids import uuid7
from apps.deployments import services as deployments
from apps.deployments.models import Deployment
from apps.predictions.gateway.record import leaf
from apps.predictions.gateway.writer import LogWriter
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.registry.services import Upload
from tests.live import database_url
from tests.registry.conftest import files as model_files

files = model_files
SAMPLE = b"age,city,outcome\n20,Ede,0\n30,Urk,1\n40,Ede,0\n50,Ede,0\n60,Urk,1\n"
METADATA = {
    "problemType": "classificationWithProbabilities",
    "predictionClasses": {"good": 0, "bad": 1},
}
NOW = datetime(2026, 11, 24, 15, 40, tzinfo=UTC)


@pytest.fixture
def version(workspace: Workspace, operator: User, files: dict[str, bytes]) -> ModelVersion:
    model = registry.create_model(workspace=workspace, name="Credit risk", by=operator)
    return registry.add_version(
        model=model,
        artifact=Upload("model.skops", [files["model.skops"]]),
        metadata=METADATA,
        sample=Upload("sample.csv", [SAMPLE]),
        target="outcome",
        by=operator,
    )


@pytest.fixture
def deployment(workspace: Workspace, version: ModelVersion, operator: User) -> Deployment:
    return deployments.create_deployment(
        workspace=workspace, name="Consumer credit", model_version=version, by=operator
    )


def request_of(
    deployment: Deployment, at: datetime, inputs: Sequence[str | None] = (), **given: Any
) -> tuple[Any, list[Any]]:
    """A request and its predictions as the gateway hands them to its writer."""
    outcome, score = given.pop("outcome", "good"), given.pop("score", "0.9")
    custom_id = given.pop("customId", None)
    revision = deployment.revisions.all()[0]
    shared = {
        "deploymentId": str(deployment.id),
        "revisionId": str(revision.id),
        "at": round(at.timestamp() * 1_000_000),
    }
    identifier = uuid7()
    content = shared | {
        "id": str(identifier),
        "endpoint": "predict",
        "protocol": "v1",
        "statusCode": 200,
        "error": None,
        "durationUs": 1500,
        "modelUs": 900,
        "callerKind": "token",
        "callerId": "t",
        "callerName": "Portal",
        "contentType": "application/json",
        "count": len(inputs),
        "envelope": None,
        "body": None,
    }
    predictions = []
    for position, text in enumerate(inputs):
        each = uuid7()
        row = {
            "id": str(each),
            "requestId": str(identifier),
            "position": position,
            "input": text,
            "output": "[0.9,0.1]",
            "outcome": outcome,
            "score": score,
            "customId": custom_id,
        }
        predictions.append(leaf(each, shared | row))
    return leaf(identifier, content | given), predictions


async def _write(requests: Sequence[tuple[Any, list[Any]]]) -> UUID:
    writer = LogWriter(database_url())
    await writer.start()
    while not writer.available:
        await asyncio.sleep(0.01)
    for request, predictions in requests:
        await writer.submit(request, predictions)
    await writer.close()
    return writer.id


@pytest.fixture
def write(transactional_db: None) -> Callable[..., UUID]:
    """Writes requests, each in a seal of its own; needs the test's rows to be committed."""

    def written(*requests: tuple[Any, list[Any]]) -> UUID:
        return asyncio.run(_write(requests))

    return written


@pytest.fixture
def recent() -> datetime:
    return timezone.now() - timedelta(minutes=5)

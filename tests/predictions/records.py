"""Fills the log as the data plane does: through the real log writer, sealed."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import skops.io
from django.db import connection, transaction
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.audit.actor import SYSTEM
from apps.audit.services import record
from apps.core.canonical import canonical
from apps.core.ids import uuid7
from apps.deployments import services as deployments
from apps.deployments.models import Deployment
from apps.explanations import services as explanations
from apps.feedback import services as feedback
from apps.feedback.authors import Author
from apps.predictions.gateway.record import Content, leaf, prediction_content
from apps.predictions.gateway.writer import LogWriter
from apps.predictions.models import PredictionRecord
from apps.registry import services as registry
from apps.registry.services import Upload
from tests.live import database_url

PORTAL = Author("token", "0199aaaa-0000-7000-8000-00000000000d", "Portal")
_PAYLOAD = ("input", "output", "outcome", "score", "customId")


def make_deployment(workspace: Workspace, name: str, by: User, folder: Path) -> Deployment:
    """A deployment with one revision; nothing serves it."""
    path = folder / "m.skops"
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    model = registry.create_model(workspace=workspace, name=f"Model of {name}", by=by)
    upload = Upload("m.skops", [path.read_bytes()])
    version = registry.add_version(model=model, artifact=upload, by=by)
    return deployments.create_deployment(
        workspace=workspace, name=name, model_version=version, by=by
    )


def erase(prediction: PredictionRecord, deployment: Deployment) -> None:
    """Takes a prediction's payload and its salt, and says so in an event that binds the rest."""
    content = prediction_content(prediction)
    left = {name: value for name, value in content.items() if name not in _PAYLOAD}
    with transaction.atomic(), connection.cursor() as cursor:
        explanations.forget(predictions=[prediction.id], now=timezone.now())
        feedback.forget(predictions=[prediction.id], now=timezone.now())
        cursor.execute(
            "UPDATE predictions_prediction SET input = NULL, output = NULL, outcome = NULL, "
            "score = NULL, custom_id = NULL, salt = NULL, erased_at = now() WHERE id = %s",
            [prediction.id],
        )
        record(
            name="prediction.erased",
            by=SYSTEM,
            object_type="prediction",
            object_id=prediction.id,
            object_name=deployment.name,
            workspace_id=deployment.workspace_id,
            data={
                "deploymentId": deployment.id,
                "kept": hashlib.sha256(canonical(left)).hexdigest(),
            },
        )


def explain(prediction: PredictionRecord) -> None:
    """Keeps an explanation as it is kept where an explainer gave it later."""
    assert prediction.revision is not None
    answer = {"name": "shap", "method": "shap.linear", "baseValue": 0.5}
    explanations.keep(prediction, prediction.revision, [answer], SYSTEM, timezone.now())


def judge(prediction: PredictionRecord) -> None:
    """A program agrees with a prediction, and says that the class 1 turned out to be true."""
    now = timezone.now()
    feedback.evaluate_prediction(
        prediction=prediction, judgement=feedback.Judgement("agree"), by=PORTAL, now=now
    )
    feedback.record_actuals(
        deployment=prediction.deployment,
        rows=[feedback.Given(1, prediction_id=prediction.id)],
        by=PORTAL,
        now=now,
    )


@dataclass
class Call:
    """One request to be recorded: its outcomes, or the status of its refusal."""

    deployment: UUID
    revision: UUID
    outcomes: list[str] = field(default_factory=lambda: ["good", "bad"])
    custom_id: str | None = None
    status: int = 200
    caller_kind: str = "token"
    id: UUID = field(default_factory=uuid7)

    def request(self) -> Content:
        refused = self.status >= 400
        return {
            "id": str(self.id),
            "deploymentId": str(self.deployment),
            "revisionId": str(self.revision),
            "at": 1_795_000_000_123_456,
            "endpoint": "predict",
            "protocol": "deeploy",
            "statusCode": self.status,
            "error": "age is missing" if refused else None,
            "durationUs": 1500,
            "modelUs": 900,
            "callerKind": self.caller_kind,
            "callerId": "0199aaaa-0000-7000-8000-00000000000c",
            "callerName": "Zoë \u2028 portal",
            "contentType": "application/json",
            "count": 0 if refused else len(self.outcomes),
            "envelope": None if refused else '{"parameters":{"a":1}}',
            "body": '{"instances":[{}]}' if refused else None,
        }

    def prediction(self, identifier: UUID, position: int) -> Content:
        return {
            "id": str(identifier),
            "requestId": str(self.id),
            "deploymentId": str(self.deployment),
            "revisionId": str(self.revision),
            "at": 1_795_000_000_123_456,
            "position": position,
            "input": f'{{"age":{40 + position},"name":"é \\u2028"}}',
            "output": "[0.1,0.9]",
            "outcome": self.outcomes[position],
            "score": "0.9",
            "customId": self.custom_id,
        }


def write(*groups: list[Call]) -> None:
    """Each group becomes one seal of one writer."""
    asyncio.run(_write(groups))


async def _write(groups: tuple[list[Call], ...]) -> None:
    writer = LogWriter(database_url())
    await writer.start()
    while not writer.available:
        await asyncio.sleep(0.01)
    for group in groups:
        waiting = []
        for call in group:
            made = [] if call.status >= 400 else [uuid7() for _ in call.outcomes]
            leaves = [leaf(i, call.prediction(i, position)) for position, i in enumerate(made)]
            waiting.append(writer.submit(leaf(call.id, call.request()), leaves))
        await asyncio.gather(*waiting)
    await writer.close()

"""Whatever is changed in the log behind the product's back is found, and where it is."""

import asyncio
from uuid import UUID

import pytest
from django.db import connection

from apps.audit.models import Seal, Writer
from apps.core.ids import uuid7
from apps.predictions.gateway.record import leaf
from apps.predictions.gateway.writer import LogWriter
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from tests.live import database_url

pytestmark = pytest.mark.django_db(transaction=True)


def request_content(identifier: UUID, count: int) -> dict[str, object]:
    return {
        "id": str(identifier),
        "deploymentId": str(UUID(int=1)),
        "revisionId": str(UUID(int=2)),
        "at": 1_795_000_000_123_456,
        "endpoint": "predict",
        "protocol": "v1",
        "statusCode": 200,
        "error": None,
        "durationUs": 1500,
        "modelUs": 900,
        "callerKind": "token",
        "callerId": "t",
        "callerName": "Zoë \u2028 portal",
        "contentType": "application/json",
        "count": count,
        "envelope": None,
        "body": None,
    }


def prediction_content(identifier: UUID, request: UUID, position: int) -> dict[str, object]:
    return {
        "id": str(identifier),
        "requestId": str(request),
        "deploymentId": str(UUID(int=1)),
        "revisionId": str(UUID(int=2)),
        "at": 1_795_000_000_123_456,
        "position": position,
        "input": '{"age":41,"name":"\\u0000 é"}',
        "output": "[0.1,0.9]",
        "outcome": "bad",
        "score": "0.9",
        "customId": None,
    }


async def write(requests: int) -> None:
    writer = LogWriter(database_url())
    await writer.start()
    while not writer.available:
        await asyncio.sleep(0.01)
    for _ in range(requests):
        identifier = uuid7()
        rows = [(uuid7(), position) for position in range(2)]
        predictions = [leaf(i, prediction_content(i, identifier, p)) for i, p in rows]
        await writer.submit(leaf(identifier, request_content(identifier, 2)), predictions)
    await writer.close()


@pytest.fixture
def log() -> None:
    asyncio.run(write(4))


def change(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def problems() -> list[str]:
    return [str(problem) for problem in verify_seals()]


def test_what_was_written_verifies(log: None) -> None:
    assert problems() == []
    assert Seal.objects.count() == 4
    assert Writer.objects.get().number == 4
    assert RequestRecord.objects.count() == 4
    assert PredictionRecord.objects.count() == 8


@pytest.mark.parametrize(
    "column", ["input", "output", "outcome", "score", "position", "at", "deployment_id"]
)
def test_one_changed_value_is_found_at_its_record(log: None, column: str) -> None:
    changed = PredictionRecord.objects.order_by("id")[3]
    new = {
        "position": "position + 1",
        "at": "at + interval '1 microsecond'",
        "deployment_id": "'00000000-0000-0000-0000-000000000009'",
    }.get(column, f"{column} || ' '")
    change(f"UPDATE predictions_prediction SET {column} = {new} WHERE id = '{changed.id}'")
    assert len(problems()) == 1
    assert str(changed.id) in problems()[0]
    assert "not what was recorded" in problems()[0]


def test_swapped_contents_are_found(log: None) -> None:
    first, second = PredictionRecord.objects.order_by("id")[:2]
    for column in ("position", "digest", "salt"):
        change(
            f"UPDATE predictions_prediction p SET {column} = q.{column} FROM "
            f"predictions_prediction q WHERE p.id IN ('{first.id}', '{second.id}') AND q.id IN "
            f"('{first.id}', '{second.id}') AND p.id <> q.id"
        )
    assert "not what was recorded" in problems()[0]


def test_a_swapped_pair_of_rows_is_found(log: None) -> None:
    first, second = PredictionRecord.objects.order_by("id")[:2]
    spare = UUID(int=77)
    for old, new in ((first.id, spare), (second.id, first.id), (spare, second.id)):
        change(f"UPDATE predictions_prediction SET id = '{new}' WHERE id = '{old}'")
    assert len(problems()) == 2


def test_a_forged_record_with_a_fitting_digest_is_found_by_its_seal(log: None) -> None:
    changed = PredictionRecord.objects.order_by("id")[3]
    changed.output = "[0.9,0.1]"
    from apps.core.canonical import digest
    from apps.predictions.gateway.record import prediction_content as content

    changed.digest = digest(bytes(changed.salt), content(changed))
    changed.save()
    assert len(problems()) == 1
    assert "not the ones that were sealed" in problems()[0]


def test_a_deleted_record_is_found(log: None) -> None:
    gone = PredictionRecord.objects.order_by("id")[2]
    change(f"DELETE FROM predictions_prediction WHERE id = '{gone.id}'")
    assert "3 records were sealed, 2 are here" in problems()[0]


def test_a_deleted_seal_is_found(log: None) -> None:
    change("DELETE FROM audit_seal WHERE number = 2")
    assert any("seal 2 is missing" in problem for problem in problems())


def test_a_cut_tail_is_found(log: None) -> None:
    change("DELETE FROM predictions_prediction WHERE seal = 4")
    change("DELETE FROM predictions_request WHERE seal = 4")
    change("DELETE FROM audit_seal WHERE number = 4")
    assert len(problems()) == 1
    assert "its tail was cut" in problems()[0]


async def write_transformed() -> None:
    """A request whose records have what a transformer and an explainer add."""
    writer = LogWriter(database_url())
    await writer.start()
    while not writer.available:
        await asyncio.sleep(0.01)
    request, prediction = uuid7(), uuid7()
    took = {"preprocessUs": 300, "postprocessUs": 200, "explainUs": 900}
    between = {
        "modelInput": '{"age":0.41}',
        "modelOutput": "[0.2,0.8]",
        "explanations": '[{"name":"shap","seed":7}]',
    }
    await writer.submit(
        leaf(request, request_content(request, 1) | took),
        [leaf(prediction, prediction_content(prediction, request, 0) | between)],
    )
    await writer.close()


def test_records_from_before_and_with_all_that_came_later_verify_together() -> None:
    asyncio.run(write(2))
    asyncio.run(write_transformed())
    assert list(verify_seals()) == []


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE predictions_prediction SET model_input = NULL WHERE model_input IS NOT NULL",
        "UPDATE predictions_prediction SET model_output = '1' WHERE model_output IS NOT NULL",
        "UPDATE predictions_request SET preprocess_us = NULL WHERE preprocess_us IS NOT NULL",
        "UPDATE predictions_prediction SET model_input = '{}' WHERE model_input IS NULL",
        "UPDATE predictions_request SET postprocess_us = 1 WHERE postprocess_us IS NULL",
        "UPDATE predictions_prediction SET explanations = NULL WHERE explanations IS NOT NULL",
        "UPDATE predictions_prediction SET explanations = '[]' WHERE explanations IS NULL",
        "UPDATE predictions_request SET explain_us = NULL WHERE explain_us IS NOT NULL",
    ],
)
def test_taking_such_a_value_out_or_putting_one_in_shows(edit: str) -> None:
    asyncio.run(write(1))
    asyncio.run(write_transformed())
    with connection.cursor() as cursor:
        cursor.execute(edit)
    messages = {problem.message for problem in verify_seals()}
    assert messages == {"its content is not what was recorded"}

"""Relaxed deployments answer first; their records survive a database that is away, and us."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from apps.deployments import services as deployments
from apps.predictions.gateway.spool import lines_of
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from deeploy_site import embedded_postgres
from tests.predictions.gateway.conftest import CASE, Served

pytestmark = pytest.mark.slow
BODY = {"instances": [CASE], "customId": "A-1"}


@pytest.fixture
def relaxed(served: Served) -> Served:
    deployment = served.deployment
    deployments.change_details(
        deployment=deployment, durability="relaxed", by=deployment.owner.actor
    )
    served.wait_for(lambda: served.predict(BODY)[2].get("x-record") == "relaxed", seconds=3)
    served.wait_for(RequestRecord.objects.filter(id=served.predict(BODY)[1]["requestLogId"]).exists)
    return served


@pytest.fixture
def without_database(var_dir_of_tests: Path) -> Iterator[Callable[[], None]]:
    """Stops the database; the call that it gives starts it again."""

    def back() -> None:
        embedded_postgres.start(var_dir_of_tests, durable=False)

    connection.close()
    embedded_postgres.stop(var_dir_of_tests)
    yield back
    back()


@pytest.fixture
def spool(var_dir_of_tests: Path) -> Path:
    return var_dir_of_tests / "spool"


def is_recorded(ids: list[str]) -> bool:
    return RequestRecord.objects.filter(id__in=ids).count() == len(ids)


def test_a_relaxed_record_follows_its_answer(relaxed: Served) -> None:
    status, answer, headers = relaxed.predict(BODY)
    assert (status, headers["x-record"]) == (200, "relaxed")
    relaxed.wait_for(lambda: is_recorded([answer["requestLogId"]]), seconds=2)
    assert PredictionRecord.objects.get(id=answer["predictionLogIds"][0]).custom_id == "A-1"


def test_a_committed_answer_says_so(served: Served) -> None:
    assert served.predict(BODY)[2]["x-record"] == "committed"


def test_records_of_an_outage_come_in_afterwards_as_they_were(
    relaxed: Served, without_database: Callable[[], None], spool: Path
) -> None:
    good = [relaxed.predict(BODY) for _ in range(20)]
    bad = relaxed.predict(b"{")
    assert {status for status, _, _ in good} == {200}
    assert bad[0] == 400
    spooled = [line for path in spool.glob("*.jsonl") for line in lines_of(path)]
    assert len(spooled) == 21
    without_database()
    ids = [answer["requestLogId"] for _, answer, _ in [*good, bad]]
    relaxed.wait_for(lambda: is_recorded(ids), seconds=10)
    relaxed.wait_for(lambda: not list(spool.glob("*.jsonl")), seconds=5)
    salts = [bytes(r.salt).hex() for r in RequestRecord.objects.filter(id__in=ids).order_by("id")]
    assert [f'"salt":"{salt}"'.encode() in line for salt, line in zip(salts, spooled, strict=True)]
    assert all(s.encode() in line for s, line in zip(salts, spooled, strict=True))
    assert list(verify_seals()) == []


def test_the_next_process_records_what_a_killed_one_spooled(
    relaxed: Served, without_database: Callable[[], None]
) -> None:
    ids = [relaxed.predict(BODY)[1]["requestLogId"] for _ in range(10)]
    relaxed.server.kill()
    without_database()
    assert not RequestRecord.objects.filter(id__in=ids).exists()
    relaxed.server.start()
    relaxed.wait_for(lambda: is_recorded(ids), seconds=10)
    assert list(verify_seals()) == []


def test_a_full_spool_is_503_and_nothing_is_decided(
    relaxed: Served, without_database: Callable[[], None], spool: Path
) -> None:
    relaxed.server.stop()
    relaxed.server.environment["SPOOL_MAX_BYTES"] = "4000"
    without_database()
    relaxed.server.start()
    connection.close()
    embedded_postgres.stop(spool.parent)
    answers = []
    until = time.monotonic() + 10
    while not answers or answers[-1][0] == 200:
        assert time.monotonic() < until
        answers.append(relaxed.predict(BODY))
    status, answer, headers = answers[-1]
    assert (status, headers["retry-after"]) == (503, "1")
    assert "full" in answer["message"]
    assert "requestLogId" not in answer
    assert "x-request-log-id" not in headers
    assert len(answers) > 1
    without_database()
    ids = [body["requestLogId"] for status, body, _ in answers if status == 200]
    relaxed.wait_for(lambda: is_recorded(ids), seconds=10)
    relaxed.wait_for(lambda: relaxed.predict(BODY)[0] == 200, seconds=5)

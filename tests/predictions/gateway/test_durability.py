"""Nothing is answered that is not recorded: kill -9, and a database that goes away or stalls."""

import os
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from apps.audit.models import Writer
from apps.predictions.models import PredictionRecord, RequestRecord
from apps.predictions.verification import verify_seals
from deeploy_site import embedded_postgres
from tests.live import LiveServer, database_url
from tests.predictions.gateway.conftest import CASE, Served
from tests.predictions.gateway.storm import Answer, storm

pytestmark = pytest.mark.slow


def assert_recorded(answers: list[Answer]) -> None:
    """Every id that left is there, once, with its prediction."""
    good = [answer.body for answer in answers if answer.status == 200]
    requests = {body["requestLogId"] for body in good}
    predictions = {body["predictionLogIds"][0] for body in good}
    assert len(requests) == len(good)
    found = RequestRecord.objects.filter(id__in=requests, status_code=200)
    assert found.count() == len(requests)
    assert PredictionRecord.objects.filter(id__in=predictions).count() == len(predictions)


def test_every_answer_that_left_before_a_kill_is_in_the_database(served: Served) -> None:
    answers = storm(served, 2_000, until=3.0, act=served.server.kill)
    assert sum(answer.status == 200 for answer in answers) > 500
    assert_recorded(answers)
    call_command("verify")


def test_two_web_processes_keep_a_chain_each_and_one_may_be_killed(served: Served) -> None:
    other = LiveServer().start()
    try:
        ports = (served.server.port, other.port)
        answers = storm(served, 200, until=2.0, act=served.server.kill, ports=ports)
    finally:
        other.stop()
    assert_recorded(answers)
    chains = RequestRecord.objects.values_list("writer", flat=True).distinct().order_by()
    assert len(chains) == 2
    assert Writer.objects.count() == 2
    call_command("verify")


def test_a_killed_database_takes_no_answered_record_with_it(
    served: Served, var_dir_of_tests: Path
) -> None:
    with connection.cursor() as cursor:
        name = connection.settings_dict["NAME"]
        cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
    served.server.stop()
    served.server.start()

    def kill_and_start() -> None:
        lines = (var_dir_of_tests / "postgres" / "postmaster.pid").read_text().split()
        os.kill(int(lines[0]), signal.SIGKILL)
        embedded_postgres.start(var_dir_of_tests, durable=False)

    answers = storm(served, 100, until=2.0, act=kill_and_start, after=2.0)
    connection.close()
    assert {answer.status for answer in answers} <= {200, 503}
    assert sum(answer.status == 200 for answer in answers) > 100
    served.wait_for(lambda: served.predict({"instances": [CASE]})[0] == 200, seconds=10)
    assert_recorded(answers)
    call_command("verify")


def test_a_stalled_database_makes_clients_wait_and_then_gives_503(served: Served) -> None:
    """A record may exist though its caller got 503, never the reverse."""
    body = {"instances": [CASE]}
    answers: list[tuple[int, float]] = []

    def call() -> None:
        started = time.monotonic()
        answers.append((served.predict(body)[0], time.monotonic() - started))

    assert served.predict(body)[0] == 200
    callers = [threading.Thread(target=call) for _ in range(5)]
    with psycopg.connect(database_url()) as locking:
        locking.execute("LOCK TABLE predictions_request IN ACCESS EXCLUSIVE MODE")
        for each in callers:
            each.start()
        for each in callers:
            each.join(timeout=20)
    assert {status for status, _ in answers} == {503}
    assert len(answers) == 5
    assert max(took for _, took in answers) < 12
    served.wait_for(lambda: served.predict(body)[0] == 200, seconds=10)
    assert list(verify_seals()) == []


def test_a_short_stall_is_waited_for(served: Served) -> None:
    with psycopg.connect(database_url()) as locking:
        locking.execute("LOCK TABLE predictions_request IN ACCESS EXCLUSIVE MODE")
        timer = threading.Timer(1.0, locking.rollback)
        timer.start()
        status, answer, _ = served.predict({"instances": [CASE]})
        timer.join()
    assert status == 200
    assert RequestRecord.objects.filter(id=answer["requestLogId"]).exists()


def test_without_its_database_the_gateway_decides_nothing_and_comes_back(
    served: Served, var_dir_of_tests: Path
) -> None:
    body = {"instances": [CASE]}
    good = [served.predict(body)[1] for _ in range(5)]
    connection.close()
    embedded_postgres.stop(var_dir_of_tests)
    stopped = time.monotonic()
    refused = []
    while time.monotonic() - stopped < 5:
        status, answer, headers = served.predict(body)
        refused.append(status)
        assert status == 503
        assert headers["retry-after"] == "1"
        assert "requestLogId" not in answer
        time.sleep(0.05)
    assert len(refused) > 10
    embedded_postgres.start(var_dir_of_tests, durable=False)
    served.wait_for(lambda: served.predict(body)[0] == 200, seconds=10)
    good.append(served.predict(body)[1])
    ids = [answer["requestLogId"] for answer in good]
    assert RequestRecord.objects.filter(id__in=ids).count() == len(ids)
    assert RequestRecord.objects.filter(status_code=200).count() == len(ids) + 1
    assert list(verify_seals()) == []

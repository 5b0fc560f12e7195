"""How long the figures of feedback take where people judged 100,000 predictions, and a batch of
10,000 actuals.

    python -m tests.bench.feedback [--count 170000] [--repeat 7]

Fills a database of its own in SQL, as `tests.bench.export` does: three in five predictions have an
evaluation, two in five an actual, one in ten a case of a queue that was answered. Prints the time
of the figures alone and of the whole page, first and median, and the number of queries; then
that of a batch, recorded the first time, corrected later.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

_CLAIMS = """
INSERT INTO feedback_claim (id, created_at, case_id, reviewer_id, at, until, state, ended_at,
  is_adjudication, draft, verdict, spent_ms)
SELECT gen_random_uuid(), now(), c.id, u.id, c.at, c.at, 'answered', c.at, false, '{}',
  CASE WHEN substr(md5(c.id::text), 1, 1) = '0' THEN 'disagree' ELSE 'agree' END,
  2000 + ('x' || substr(md5(c.id::text), 1, 4))::bit(16)::int
FROM feedback_reviewcase AS c, accounts_user AS u
"""
_LOOKED = """
INSERT INTO feedback_reviewhour (id, created_at, queue_id, at, looked, entered, certain, drawn)
SELECT gen_random_uuid(), now(), queue_id, date_trunc('hour', at), count(*) * 10, count(*), 0,
  count(*) FROM feedback_reviewcase GROUP BY 3, 4
"""


def measure(count: int, repeat: int) -> None:
    import django

    django.setup()
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from apps.accounts.models import User
    from apps.deployments.models import Deployment
    from apps.feedback.models import Actual, Evaluation
    from apps.monitoring.feedback.figures import feedback_of
    from tests.bench.export import fill

    fill(count)
    with connection.cursor() as cursor:
        for statement in (_CLAIMS, _LOOKED, "ANALYZE"):
            cursor.execute(statement)
    deployment, client = Deployment.objects.get(), Client()
    client.force_login(
        User.objects.get(), backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    path = f"/w/{deployment.workspace.slug}/deployments/{deployment.slug}/feedback/"
    _say(f"{Evaluation.objects.count():,} evaluations, {Actual.objects.count():,} actuals")
    _time("figures", repeat, lambda: feedback_of(deployment, days=30, now=timezone.now()))
    _time("page", repeat, lambda: client.get(path, headers={"host": "127.0.0.1"}))
    with CaptureQueriesContext(connection) as captured:
        feedback_of(deployment, days=30, now=timezone.now())
    slowest = sorted(captured.captured_queries, key=lambda each: -float(each["time"]))[:3]
    _say(f"{len(captured)} queries, the slowest {[each['time'] for each in slowest]} s")
    _record(deployment, repeat)


def _record(deployment: Any, repeat: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from apps.accounts.models import User
    from apps.feedback.authors import author_of
    from apps.feedback.models import Evaluation
    from apps.feedback.services import Given, record_actuals

    author, values = author_of(User.objects.get()), cycle(("good", "bad"))
    ids = list(Evaluation.objects.order_by("id").values_list("prediction_id", flat=True)[:10_000])

    def act() -> None:
        value = next(values)
        rows = [Given(value, prediction_id=str(identifier)) for identifier in ids]
        record_actuals(deployment=deployment, rows=rows, by=author, now=timezone.now())

    _time("actuals", repeat, act)
    with CaptureQueriesContext(connection) as captured:
        act()
    _say(f"{len(captured)} queries for {len(ids):,} corrected actuals")


def _time(name: str, repeat: int, act: Callable[[], object]) -> None:
    taken, before = [], _processor()
    for _ in range(repeat):
        started = time.monotonic()
        act()
        taken.append(time.monotonic() - started)
    middle, used = statistics.median(taken[1:]), (_processor() - before) / repeat
    _say(
        f"{name:8} first {1000 * taken[0]:6.0f} ms, median {1000 * middle:6.0f} ms, "
        f"of processor {1000 * used:6.0f} ms"
    )


def _processor() -> float:
    """Seconds of processor time that this process and its database connection have used."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=170_000)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--inside", action="store_true")
    given = parser.parse_args()
    if given.inside:
        measure(given.count, given.repeat)
        return
    from deeploy_site import embedded_postgres

    folder = Path(tempfile.mkdtemp(prefix="deeploy-bench-"))
    folder.chmod(0o755)
    environment = os.environ | {
        "VAR_DIR": str(folder),
        "DATABASE_URL": embedded_postgres.start(folder, durable=False),
        "PLAIN_STATIC_FILES": "1",
        "DJANGO_SETTINGS_MODULE": "deeploy_site.settings",
    }
    _say(f"Load of the machine {os.getloadavg()[0]:.1f}")
    try:
        for command in (
            ["manage.py", "migrate", "-v0"],
            ["-m", "tests.bench.feedback", "--inside", f"--count={given.count}"],
        ):
            subprocess.run([sys.executable, *command], env=environment, check=True)
    finally:
        embedded_postgres.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

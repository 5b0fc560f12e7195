"""What a data set for retraining costs: time, memory of the process and queries, by its size.

    python -m tests.bench.export [--sizes 10000 100000 1000000]

Starts a database of its own under a temporary folder and fills it in SQL with predictions of
twenty features, each with a label: two in five an actual, the rest evaluations, one in ten of them
a case of a review queue. Each size and format is written by a fresh process, whose peak of memory
is that of the operating system. Checks the rows and the checksum of every file.

"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FEATURES = 20
_ROWS_A_STATEMENT = 100_000
_PREDICTIONS = """
INSERT INTO predictions_prediction (id, deployment_id, revision_id, at, salt, digest, writer, seal,
  request_id, position, input, output, outcome, score, custom_id)
SELECT id, %(deployment)s, %(revision)s, at, '\\x00', '\\x00', %(deployment)s, 1, id, 0,
  (SELECT '{' || string_agg('"f' || k || '":' || round((n %% 997) * k * 0.37, 3), ',') || '}'
   FROM generate_series(1, %(features)s) AS k WHERE n = n),
  '[0.2,0.8]', CASE WHEN n %% 3 = 0 THEN 'good' ELSE 'bad' END, '0.8', 'case-' || n
FROM (SELECT n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid AS id
  FROM (SELECT n, now() - interval '20 days' + n * interval '1 second' AS at
    FROM generate_series(%(first)s, %(last)s) AS n) AS times) AS rows
"""
_ACTUALS = """
INSERT INTO feedback_actual (id, created_at, prediction_id, predicted_at, predicted_outcome,
  deployment_id, at, is_current, author_kind, author_id, author_name, salt, digest, value, outcome,
  batch)
SELECT gen_random_uuid(), now(), id, at, outcome, deployment_id, at + interval '1 day', true,
  'token', 't', 'T', '\\x00', '\\x00', '1', 'bad', deployment_id
FROM predictions_prediction WHERE split_part(custom_id, '-', 2)::int %% 5 < 2
"""
_EVALUATIONS = """
INSERT INTO feedback_evaluation (id, created_at, prediction_id, predicted_at, predicted_outcome,
  deployment_id, at, is_current, author_kind, author_id, author_name, salt, digest, verdict,
  desired_outcome, spent_ms)
SELECT gen_random_uuid(), now(), id, at, outcome, deployment_id, at + interval '1 hour', true,
  'user', (split_part(custom_id, '-', 2)::int %% 7)::text, 'Reviewer', '\\x00', '\\x00',
  CASE WHEN split_part(custom_id, '-', 2)::int %% 11 = 0 THEN 'disagree' ELSE 'agree' END,
  CASE WHEN split_part(custom_id, '-', 2)::int %% 11 = 0 THEN 'good' END, 9000
FROM predictions_prediction WHERE split_part(custom_id, '-', 2)::int %% 5 >= 2
"""
_CASES = """
INSERT INTO feedback_reviewcase (id, created_at, queue_id, prediction_id, at, causes, is_certain,
  is_drawn, is_of_stream, is_seeded, probability, slice_probability, priority, wanted, taken, state)
SELECT gen_random_uuid(), now(), %(queue)s, id, at, '[]', false, true, true, false, 0.05, 0.05, 1,
  1, 1, 'done'
FROM predictions_prediction WHERE split_part(custom_id, '-', 2)::int %% 10 = 3
"""


def fill(count: int) -> str:
    """A deployment with so many labelled predictions; returns its id."""
    from django.db import connection

    deployment, queue = _deployment()
    given = {
        "deployment": deployment.id,
        "revision": deployment.revisions.get().id,
        "queue": queue,
        "features": FEATURES,
    }
    with connection.cursor() as cursor:
        for first in range(1, count + 1, _ROWS_A_STATEMENT):
            last = min(first + _ROWS_A_STATEMENT - 1, count)
            cursor.execute(_PREDICTIONS, given | {"first": first, "last": last})
        for statement in (_ACTUALS, _EVALUATIONS, _CASES):
            cursor.execute(statement, given)
        cursor.execute("ANALYZE")
    return str(deployment.id)


def _deployment() -> tuple[Any, Any]:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    from apps.accounts.models import Membership, User, Workspace
    from apps.deployments.services import create_deployment
    from apps.feedback.models import ReviewQueue
    from apps.registry import services as registry
    from apps.registry.services import Upload

    user = User.objects.create(email="bench@example.org", name="Bench")
    workspace = Workspace.objects.create(name="Bench", slug="bench")
    Membership.objects.create(workspace=workspace, user=user, role="owner")
    path = Path(tempfile.mkdtemp()) / "m.skops"
    skops.io.dump(LogisticRegression().fit([[0.0] * FEATURES, [1.0] * FEATURES], [0, 1]), path)
    features = [{"name": f"f{k}", "type": "number"} for k in range(1, FEATURES + 1)]
    model = registry.create_model(workspace=workspace, name="Bench", by=user)
    version = registry.add_version(
        model=model,
        artifact=Upload("m.skops", [path.read_bytes()]),
        metadata={
            "problemType": "classificationWithProbabilities",
            "predictionClasses": {"good": 0, "bad": 1},
            "features": features,
        },
        by=user,
    )
    made = create_deployment(workspace=workspace, name="Bench", model_version=version, by=user)
    queue = ReviewQueue.objects.create(deployment=made, name="Audit", created_by=user)
    return made, queue.id


def write(format: str) -> dict[str, Any]:
    """Writes one data set in this process."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from apps.deployments.models import Deployment
    from apps.feedback.datasets.models import DataSetExport
    from apps.feedback.datasets.writing import write_dataset

    deployment = Deployment.objects.get()
    dataset = DataSetExport.objects.create(
        deployment=deployment,
        version=DataSetExport.objects.count() + 1,
        format=format,
        by={"kind": "system", "id": "", "name": "Bench"},
        state_at=timezone.now(),
    )
    before, started = _peak(), time.monotonic()
    with CaptureQueriesContext(connection) as captured:
        state = write_dataset(identifier=dataset.id, now=timezone.now())
    seconds = time.monotonic() - started
    dataset.refresh_from_db()
    with dataset.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert (state, digest) == ("ready", dataset.sha256)
    updates = sum(each["sql"].startswith("UPDATE") for each in captured.captured_queries)
    return {
        "rows": dataset.rows,
        "seconds": seconds,
        "before_mb": before,
        "peak_mb": _peak(),
        "size_mb": (dataset.size_bytes or 0) / 1e6,
        "queries": len(captured) - updates,
        "updates": updates,
        "sha256": dataset.sha256,
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(size: int) -> None:
    """One size in a database of its own, each format in a process of its own."""
    from deeploy_site import embedded_postgres

    folder = Path(tempfile.mkdtemp(prefix="deeploy-bench-"))
    folder.chmod(0o755)
    address = embedded_postgres.start(folder, durable=False)
    environment = os.environ | {
        "VAR_DIR": str(folder),
        "DATABASE_URL": address,
        "PLAIN_STATIC_FILES": "1",
        "DJANGO_SETTINGS_MODULE": "deeploy_site.settings",
    }
    try:
        started = time.monotonic()
        _run(["manage.py", "migrate", "-v0"], environment)
        _run(["-m", "tests.bench.export", "--fill", str(size)], environment)
        _say(f"{size:,} labelled predictions, filled in {time.monotonic() - started:.0f} s")
        for format in ("csv", "parquet"):
            command = ["-m", "tests.bench.export", "--write", format]
            found = json.loads(_run(command, environment).splitlines()[-1])
            assert found["rows"] == size, f"{found['rows']} of {size} rows"
            _say(
                f"  {format:8}{found['rows']:>11,} rows {found['seconds']:>7.1f} s "
                f"{found['rows'] / found['seconds']:>9,.0f} rows/s  "
                f"{found['size_mb']:>7.1f} MB  peak {found['peak_mb']:>5.0f} MB "
                f"(before {found['before_mb']:.0f})  {found['queries']} queries and "
                f"{found['updates']} notes of progress  sha256 {found['sha256'][:12]}"
            )
    except BaseException:
        _say((folder / "log" / "postgres.log").read_text()[-2000:])
        raise
    finally:
        embedded_postgres.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--fill", type=int)
    parser.add_argument("--write")
    given = parser.parse_args()
    if given.fill or given.write:
        import django

        django.setup()
        _say(fill(given.fill) if given.fill else json.dumps(write(given.write)))
        return
    _say(f"Load of the machine {os.getloadavg()[0]:.1f}")
    for size in given.sizes:
        measure(size)


if __name__ == "__main__":
    main()

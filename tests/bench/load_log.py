"""Fills the log of a product's demo with predictions of the last days, sealed as the gateway does.

    VAR_DIR=var python tests/bench/load_log.py [--predictions 1000000] [--days 30]

needs the demo (`make run` once); starts the embedded database where it does not run. Ids, times
and partitions are those of the days that are told; `manage.py verify` passes afterwards. Then it
rolls up, and prints how long each part took. For a database that may be thrown away.
"""

import argparse
import csv
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deeploy_site.settings")
os.environ.setdefault("PLAIN_STATIC_FILES", "1")

import django  # noqa: E402
import orjson  # noqa: E402
import psycopg  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402

from apps.audit.chain import GENESIS, merkle_root, microseconds, seal_hash  # noqa: E402
from apps.core.ids import first_at, uuid7  # noqa: E402
from apps.deployments.models import Deployment  # noqa: E402
from apps.deployments.services import model_of  # noqa: E402
from apps.monitoring import services  # noqa: E402
from apps.predictions import partitions  # noqa: E402
from apps.predictions.gateway.bodies import outcome_of  # noqa: E402
from apps.predictions.gateway.record import Leaf, leaf  # noqa: E402
from deeploy_site import embedded_postgres  # noqa: E402

_REQUESTS_A_SEAL = 40
_SEALS_A_TRANSACTION = 100
_SHARED = {
    "id": "id",
    "deploymentId": "deployment_id",
    "revisionId": "revision_id",
    "at": "at",
}
_REQUEST = _SHARED | {
    "endpoint": "endpoint",
    "protocol": "protocol",
    "statusCode": "status_code",
    "error": "error",
    "durationUs": "duration_us",
    "modelUs": "model_us",
    "callerKind": "caller_kind",
    "callerId": "caller_id",
    "callerName": "caller_name",
    "contentType": "content_type",
    "count": "count",
    "envelope": "envelope",
    "body": "body",
}
_PREDICTION = _SHARED | {
    "requestId": "request_id",
    "position": "position",
    "input": "input",
    "output": "output",
    "outcome": "outcome",
    "score": "score",
    "customId": "custom_id",
}
_SEAL = "writer_id, number, at, count, first_id, last_id, root, previous_hash, hash"


def id_at(at: datetime) -> UUID:
    """A UUIDv7 made at that time."""
    bits = random.getrandbits(12) << 64 | random.getrandbits(62)
    return UUID(int=first_at(at).int | bits)


class Cases:
    """Requests to the demo's credit deployments: applicants near those of German Credit."""

    def __init__(self, deployments: list[Deployment]) -> None:
        self.deployments = []
        for each in deployments:
            assert each.active_revision is not None
            revisions = list(each.revisions.filter(state__in=["active", "retired"]))
            metadata = model_of(each.active_revision).metadata
            self.deployments.append((each, revisions, metadata))
        features = self.deployments[0][2]["features"]
        with (ROOT / "fixtures" / "german_credit.csv").open(newline="") as file:
            self.rows = [
                {
                    f["name"]: int(row[f["name"]]) if f["type"] == "integer" else row[f["name"]]
                    for f in features
                }
                for row in csv.DictReader(file)
            ]
        self.number = 0

    def request(self, at: datetime) -> tuple[Leaf, list[Leaf]]:
        """One request: mostly one case, some batches, some refused."""
        deployment, revisions, metadata = random.choices(self.deployments, [4, 1])[0]
        identifier = id_at(at)
        shared = {
            "deploymentId": str(deployment.id),
            "revisionId": str(random.choice(revisions).id),
            "at": microseconds(at),
        }
        refused = random.random() < 0.004
        size = 0 if refused else (1 if random.random() < 0.98 else random.randint(2, 30))
        took = round(random.lognormvariate(7.6, 0.45)) + 60 * size
        caller = random.choices(["Branch portal", "Broker", "Web shop"], [6, 3, 1])[0]
        content = shared | {
            "id": str(identifier),
            "endpoint": "predict",
            "protocol": "deeploy",
            "statusCode": random.choice([400, 400, 503]) if refused else 200,
            "error": "age must be a number." if refused else None,
            "durationUs": took,
            "modelUs": None if refused else round(took * 0.8),
            "callerKind": "token",
            "callerId": str(UUID(int=len(caller))),
            "callerName": caller,
            "contentType": "application/json",
            "count": size,
            "envelope": None if refused else "{}",
            "body": '{"instances": [{"age": "old"}]}' if refused else None,
        }
        made = at + timedelta(microseconds=1000)
        predictions = [
            self._prediction(made, shared, identifier, position, metadata)
            for position in range(size)
        ]
        return leaf(identifier, content), predictions

    def _prediction(
        self,
        at: datetime,
        shared: dict[str, Any],
        request: UUID,
        position: int,
        metadata: dict[str, Any],
    ) -> Leaf:
        self.number += 1
        case = dict(random.choice(self.rows))
        case["credit_amount"] = round(case["credit_amount"] * random.uniform(0.7, 1.3))
        case["age"] += random.randint(-2, 2)
        bad = random.betavariate(1.2, 2.4)
        output = [1 - bad, bad]
        outcome, score = outcome_of(output, metadata)
        identifier = id_at(at)
        content = shared | {
            "id": str(identifier),
            "requestId": str(request),
            "position": position,
            "input": orjson.dumps(case).decode(),
            "output": orjson.dumps(output).decode(),
            "outcome": outcome,
            "score": score,
            "customId": f"A-{self.number:08}",
        }
        return leaf(identifier, content)


def moments(count: int, start: datetime, end: datetime) -> Iterator[datetime]:
    """`count` times in order, with the tide of a day: few by night, most at noon."""
    seconds = (end - start).total_seconds()
    drawn = []
    while len(drawn) < count:
        at = start + timedelta(seconds=random.random() * seconds)
        if random.random() < (1.0 if 8 <= at.hour < 18 else 0.25):
            drawn.append(at)
    return iter(sorted(drawn))


class Sealer:
    """Writes groups of requests under seals of one writer, as the gateway's writer chains them."""

    def __init__(self, connection: psycopg.Connection[Any], start: datetime) -> None:
        self.connection, self.writer = connection, uuid7()
        self.number, self.hash = 0, GENESIS
        connection.execute(
            "INSERT INTO audit_writer (id, started_at, number, hash, rolled_up) "
            "VALUES (%s, %s, 0, %s, 0)",
            [self.writer, start, GENESIS],
        )

    def write(self, groups: list[list[tuple[Leaf, list[Leaf]]]]) -> None:
        """One transaction with a seal for each group."""
        seals, requests, predictions = [], [], []
        for group in groups:
            sealed = [request for request, _ in group]
            of_group = [each for _, many in group for each in many]
            seals.append(self._seal(sealed + of_group))
            requests += [(each, self.number) for each in sealed]
            predictions += [(each, self.number) for each in of_group]
        with self.connection.transaction(), self.connection.cursor() as cursor:
            with cursor.copy(f"COPY audit_seal ({_SEAL}) FROM STDIN") as copy:
                for seal in seals:
                    copy.write_row(seal)
            self._copy(cursor, "predictions_request", _REQUEST, requests)
            self._copy(cursor, "predictions_prediction", _PREDICTION, predictions)
            cursor.execute(
                "UPDATE audit_writer SET number = %s, hash = %s WHERE id = %s",
                [self.number, self.hash, self.writer],
            )

    def _seal(self, leaves: list[Leaf]) -> tuple[Any, ...]:
        leaves.sort(key=lambda each: each.id)
        parts = {
            "writer": self.writer,
            "number": self.number + 1,
            "at": datetime.fromtimestamp(max(e.content["at"] for e in leaves) / 1e6, UTC),
            "count": len(leaves),
            "first_id": leaves[0].id,
            "last_id": leaves[-1].id,
            "root": merkle_root([each.digest for each in leaves]),
            "previous_hash": self.hash,
        }
        self.number, self.hash = self.number + 1, seal_hash(**parts)
        return (*parts.values(), self.hash)

    def _copy(
        self,
        cursor: psycopg.Cursor[Any],
        table: str,
        columns: dict[str, str],
        rows: list[tuple[Leaf, int]],
    ) -> None:
        names = ", ".join([*columns.values(), "salt", "digest", "writer", "seal"])
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for each, seal in rows:
                content = each.content
                at = datetime.fromtimestamp(content["at"] // 1_000_000, UTC).replace(
                    microsecond=content["at"] % 1_000_000
                )
                values = [at if key == "at" else content[key] for key in columns]
                copy.write_row([*values, each.salt, each.digest, self.writer, seal])


def load(predictions: int, days: int) -> tuple[int, int]:
    """Writes the log; returns the numbers of requests and predictions."""
    end = datetime.now(UTC) - timedelta(minutes=1)
    start = end - timedelta(days=days)
    for month in range(0, days + 31, 31):
        partitions.ensure(now=start + timedelta(days=month))
    demo = json.loads((settings.VAR_DIR / "demo.json").read_text())
    ids = [each["id"] for each in demo["deployments"][:2]]
    cases = Cases(list(Deployment.objects.filter(id__in=ids).order_by("created_at")))
    wanted = round(predictions / 1.296)  # a request holds that many predictions on average
    times = moments(wanted, start, end)
    requests = 0
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        sealer = Sealer(connection, start)
        while batch := list(itertools.islice(times, _REQUESTS_A_SEAL * _SEALS_A_TRANSACTION)):
            made = [cases.request(at) for at in batch]
            requests += len(made)
            sealer.write(
                [made[i : i + _REQUESTS_A_SEAL] for i in range(0, len(made), _REQUESTS_A_SEAL)]
            )
        connection.execute("VACUUM ANALYZE")
    return requests, cases.number


def main() -> None:
    parser = argparse.ArgumentParser(description="Fills the log of the demo.")
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    embedded = not os.environ.get("DATABASE_URL")
    started = embedded and not embedded_postgres.is_running(settings.VAR_DIR)
    if started:
        embedded_postgres.start(settings.VAR_DIR)
    try:
        begun = time.perf_counter()
        requests, predictions = load(options.predictions, options.days)
        loaded = time.perf_counter()
        records = services.roll_up(now=datetime.now(UTC))
        counted = time.perf_counter() - loaded
    finally:
        if started:
            django.db.connection.close()
            embedded_postgres.stop(settings.VAR_DIR)
    print(f"{requests:,} requests, {predictions:,} predictions in {loaded - begun:.0f} s")
    rate = f"{predictions / counted:,.0f} predictions/s" if records else "by the controller"
    print(f"{records:,} records rolled up in {counted:.1f} s: {rate}")


if __name__ == "__main__":
    random.seed(20261123)
    main()

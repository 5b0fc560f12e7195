"""Measures the server time of pages over a full log.

    VAR_DIR=var python tests/bench/pages.py [--times 25]

needs a loaded log (tests/bench/load_log.py); starts the embedded database where it does not run.
Each page is asked for through Django's test client, in process, by the demo's owner: routing,
middleware, queries and template, without the network. Prints median and p95 in milliseconds and
the number of queries.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deeploy_site.settings")
os.environ.setdefault("PLAIN_STATIC_FILES", "1")

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.deployments.models import Deployment  # noqa: E402
from apps.predictions.models import PredictionRecord  # noqa: E402
from deeploy_site import embedded_postgres  # noqa: E402


def pages(deployment: Deployment) -> dict[str, str]:
    """Name and address of what is measured."""
    workspace = f"/w/{deployment.workspace.slug}/"
    base = f"{workspace}deployments/{deployment.slug}/"
    log = f"{base}predictions/"
    mine = PredictionRecord.objects.filter(deployment=deployment).order_by("-id")
    middle = mine.filter(at__lt=timezone.now() - timedelta(days=15))[0]
    classes = sorted({row.outcome for row in mine[:200] if row.outcome})
    number = deployment.active_revision.number if deployment.active_revision else 1
    days = {
        "start": f"{timezone.now() - timedelta(days=20):%Y-%m-%dT%H:%M}",
        "end": f"{timezone.now() - timedelta(days=19):%Y-%m-%dT%H:%M}",
    }

    def filtered(**given: object) -> str:
        return f"{log}?{urlencode(given)}"

    return {
        "home": "/",
        "home of a workspace": workspace,
        "deployment overview": base,
        "figures panel": f"{base}figures/",
        "predictions, first page": log,
        "predictions, a page 15 days back": filtered(before=middle.id),
        "predictions, newer than 15 days back": filtered(after=middle.id),
        **{f"predictions of class {each}": filtered(outcome=each) for each in classes},
        "predictions of a class that never came": filtered(outcome="none"),
        "predictions by custom id": filtered(custom_id=middle.custom_id),
        "predictions by a custom id that is not there": filtered(custom_id="A-none"),
        "predictions of the revision": filtered(revision=number),
        "predictions of one day": filtered(**days),
        "predictions of class, revision and day": filtered(
            outcome=classes[0], revision=number, **days
        ),
        "refused requests": filtered(show="refused"),
        "refused requests of one day": filtered(show="refused", **days),
        "prediction, 15 days old": f"{workspace}predictions/{middle.id}/",
        "request, 15 days old": f"{workspace}requests/{middle.request_id}/",
        "search by custom id": f"/search/?q={middle.custom_id}",
        "search by id": f"/search/?q={middle.id}",
        "search by name": "/search/?q=credit",
    }


def measure(client: Client, path: str, times: int) -> tuple[float, float, int]:
    """Median and p95 of `times` requests in milliseconds after two that warm up, and queries."""
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path)
        number = len(queries)
    if answer.status_code not in (200, 302):
        raise SystemExit(f"{path} answered {answer.status_code}")
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        client.get(path)
        took.append(1000 * (time.perf_counter() - begun))
    return statistics.median(took), statistics.quantiles(took, n=20)[-1], number


@contextmanager
def database() -> Iterator[None]:
    embedded = not os.environ.get("DATABASE_URL")
    started = embedded and not embedded_postgres.is_running(settings.VAR_DIR)
    if started:
        embedded_postgres.start(settings.VAR_DIR)
    try:
        yield
    finally:
        if started:
            connection.close()
            embedded_postgres.stop(settings.VAR_DIR)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the pages over a full log.")
    parser.add_argument("--times", type=int, default=25)
    times = parser.parse_args().times
    demo = json.loads((settings.VAR_DIR / "demo.json").read_text())
    with database():
        client = Client(headers={"host": "localhost"})
        client.force_login(
            User.objects.get(email=demo["username"]),
            backend="allauth.account.auth_backends.AuthenticationBackend",
        )
        deployment = Deployment.objects.get(id=demo["deployments"][0]["id"])
        print(f"{PredictionRecord.objects.count():,} predictions in the log")
        print(f"{'page':46}{'median ms':>10}{'p95 ms':>10}{'queries':>10}")
        for name, path in pages(deployment).items():
            median, p95, queries = measure(client, path, times)
            print(f"{name:46}{median:>10.1f}{p95:>10.1f}{queries:>10}")


if __name__ == "__main__":
    main()

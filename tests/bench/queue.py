"""How fast predictions enter a review queue, and cases reach reviewers.

    python -m tests.bench.queue [--predictions 20000] [--waiting 100000] [--reviewers 8]

Starts a PostgreSQL of its own in a directory that is removed afterwards. Prints how long the
intake took, by rules and calibrated sets alone and with novelty, in how many queries; then how long
it takes to get a case while many wait, and how many several reviewers at once get and answer.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import Any

FOLDER = Path(tempfile.mkdtemp(prefix="deeploy-bench-"))
FOLDER.chmod(0o755)
os.environ["VAR_DIR"] = str(FOLDER)
os.environ["PLAIN_STATIC_FILES"] = "1"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deeploy_site.settings")

from deeploy_site import embedded_postgres  # noqa: E402

os.environ["DATABASE_URL"] = embedded_postgres.start(FOLDER)

import django  # noqa: E402

django.setup()

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import skops.io  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from apps.accounts.models import Membership, User, Workspace  # noqa: E402
from apps.core.ids import uuid7  # noqa: E402
from apps.deployments import services as deployments  # noqa: E402
from apps.deployments.models import Deployment  # noqa: E402
from apps.feedback.authors import author_of  # noqa: E402
from apps.feedback.models import ReviewCase, ReviewQueue  # noqa: E402
from apps.feedback.review import answers, claims, services  # noqa: E402
from apps.feedback.review.intake import take_in  # noqa: E402
from apps.feedback.review.settings import QueueSettings  # noqa: E402
from apps.feedback.services import Given, Judgement, record_actuals  # noqa: E402
from apps.predictions import partitions  # noqa: E402
from apps.predictions.models import PredictionRecord  # noqa: E402
from apps.registry import services as registry  # noqa: E402
from apps.registry.services import Upload  # noqa: E402
from tests.bench import machine  # noqa: E402
from tests.predictions.conftest import METADATA  # noqa: E402
from tests.predictions.factories import write_request  # noqa: E402

A_SEAL = 200
RULES = [
    {"kind": "amount", "feature": "income", "least": 2_800},
    {"kind": "range", "features": []},
]


def main() -> None:
    given = _arguments()
    call_command("migrate", verbosity=0)
    partitions.ensure(now=timezone.now())
    print(machine.describe(), f"load {os.getloadavg()[0]:.1f}", sep=", ")
    people = [_person(f"reviewer{n}") for n in range(given.reviewers)]
    deployment = _deployment(people[0])
    _fill(deployment, 500, np.random.default_rng(1))
    random = np.random.default_rng(5)
    rows = [
        Given("bad" if random.uniform() < record.output_value[1] else "good", record.id)
        for record in PredictionRecord.objects.all()
    ]
    author = author_of(people[0])
    record_actuals(deployment=deployment, rows=rows, by=author, now=timezone.now())
    plain = _queue(deployment, people[0], "By rules and sets")
    novel = _queue(deployment, people[0], "And novelty", novelty=0.99)
    _fill(deployment, given.predictions, np.random.default_rng(2))
    for queue in (plain, novel):
        _measure_intake(queue, given.predictions)
    _measure_claims(plain, people, given.waiting)


def _measure_intake(queue: ReviewQueue, expected: int) -> None:
    before = psutil.Process().memory_info().rss
    with CaptureQueriesContext(connection) as seen:
        started = time.perf_counter()
        looked = take_in(queue=queue, now=timezone.now(), most=expected)
        seconds = time.perf_counter() - started
        count = len(seen)
    assert looked == expected, looked
    assert take_in(queue=queue, now=timezone.now()) == 0
    entered = ReviewCase.objects.filter(queue=queue).count()
    grown = (psutil.Process().memory_info().rss - before) / 1024**2
    print(
        f"{queue.name}: {looked:,} looked at in {seconds:.2f} s ({looked / seconds:,.0f}/s), "
        f"{entered:,} entered, {count} queries, memory +{grown:.0f} MiB"
    )


def _measure_claims(queue: ReviewQueue, people: list[User], waiting: int) -> None:
    """Only the first of the waiting cases have a record: those that are taken."""
    here = ReviewCase.objects.filter(queue=queue).values("prediction_id")
    rest = PredictionRecord.objects.exclude(id__in=here).values_list("id", flat=True)
    real = list(rest[:5_000])
    place = np.sort(np.random.default_rng(3).uniform(2, 3, waiting))[::-1]
    cases = [
        ReviewCase(
            queue=queue,
            prediction_id=real[n] if n < len(real) else uuid7(),
            at=timezone.now(),
            probability=0.02,
            slice_probability=0.02,
            priority=float(each),
        )
        for n, each in enumerate(place)
    ]
    ReviewCase.objects.bulk_create(cases, batch_size=5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE feedback_reviewcase")
    times = _work(queue, people[0], 200)[1]
    print(f"Next case of {waiting:,}, one reviewer, 200 times: {_spread(times)}")
    started = time.perf_counter()
    with ThreadPoolExecutor(len(people)) as threads:
        found = list(threads.map(lambda each: _work(queue, each, 50), people))
    seconds = time.perf_counter() - started
    taken = [case for ids, _ in found for case in ids]
    assert len(taken) == len(set(taken)), "a case was held twice"
    every = [each for _, spent in found for each in spent]
    rate = len(taken) / seconds
    print(f"{len(people)} reviewers at once, 50 each: {_spread(every)}, {rate:,.0f} cases/s")


def _work(queue: ReviewQueue, reviewer: User, count: int) -> tuple[list[Any], list[float]]:
    taken, times = [], []
    try:
        for _ in range(count):
            times.append(_timed(lambda: taken.append(_next(queue, reviewer))))
            answers.answer(
                claim=taken[-1],
                judgement=Judgement("agree", spent_ms=1_000),
                by=author_of(reviewer),
                now=timezone.now(),
            )
        return [each.case_id for each in taken], times
    finally:
        connection.close()


def _next(queue: ReviewQueue, reviewer: User) -> Any:
    return claims.claim_next(queue=queue, reviewer=reviewer, now=timezone.now())


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000


def _spread(times: list[float]) -> str:
    return f"median {median(times):.1f} ms, 95 % within {quantiles(times, n=20)[-1]:.1f} ms"


def _fill(deployment: Deployment, count: int, random: np.random.Generator) -> None:
    """Sealed requests of 200 predictions, their probabilities spread."""
    made = 0
    while made < count:
        size = min(A_SEAL, count - made)
        cases = [
            {"age": int(age), "city": str(city), "income": float(income)}
            for age, city, income in zip(
                random.integers(18, 90, size),
                random.choice(["Ede", "Goes", "Urk"], size),
                random.normal(2_000, 400, size),
                strict=True,
            )
        ]
        write_request(deployment, cases, p_bad=float(random.beta(0.3, 0.3)))
        made += size


def _deployment(by: User) -> Deployment:
    workspace = Workspace.objects.get()
    model = registry.create_model(workspace=workspace, name="Logistic", by=by)
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), FOLDER / "m.skops")
    random = np.random.default_rng(4)
    lines = ["age,city,income"] + [
        f"{random.integers(18, 80)},{random.choice(['Ede', 'Goes', 'Urk'])},"
        f"{random.normal(2_000, 400):.2f}"
        for _ in range(1_000)
    ]
    version = registry.add_version(
        model=model,
        artifact=Upload("m.skops", [(FOLDER / "m.skops").read_bytes()]),
        sample=Upload("sample.csv", ["\n".join(lines).encode()]),
        metadata=METADATA,
        by=by,
    )
    return deployments.create_deployment(
        workspace=workspace, name="Credit risk", model_version=version, by=by
    )


def _queue(deployment: Deployment, by: User, name: str, **more: Any) -> ReviewQueue:
    settings = QueueSettings(name=name, rules=RULES, alpha=0.1, audit_probability=0.02, **more)
    return services.create_queue(
        deployment=deployment, settings=settings, by=by, now=timezone.now()
    )


def _person(name: str) -> User:
    workspace, _ = Workspace.objects.get_or_create(name="Bank", slug="bank")
    user = User.objects.create(email=f"{name}@example.org", name=name)
    Membership.objects.create(workspace=workspace, user=user, role="owner")
    return user


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=20_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--reviewers", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    finally:
        connection.close()
        embedded_postgres.stop(FOLDER)
        shutil.rmtree(FOLDER, ignore_errors=True)
        sys.stdout.flush()

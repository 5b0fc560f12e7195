"""What a review queue says about a stream, against the truth: plain ratio and weighted estimate.

    python -m tests.bench.review [--repetitions 100] [--cases 20000] [--seed 2]

Cases are German credit applications, numbers blurred and categories mixed; whether one is bad is
drawn from a logistic model of all 1,000 of them. The model judged is the demo's gradient boosting,
its error rate in each stream known. The queue takes the most uncertain cases by their conformal
set, and large loans by rule; the audit slice draws from all. Reviewers judge rightly. Prints how
often each 95 % interval holds the stream's true rate.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from apps.feedback.statistics.conformal import calibrate_classes, class_uncertainty
from apps.feedback.statistics.proportions import (
    StreamShare,
    inclusion_probability,
    stream_share,
)
from fixtures import train_demo
from tests.bench import machine

POOL = 40_000
ALPHA = 0.1
LARGE_LOAN = 12_000  # Deutsche Mark


@dataclass(frozen=True)
class Pool:
    """Cases to draw streams from: what decides about each, and its true risk."""

    said_bad: np.ndarray
    uncertainty: np.ndarray
    is_large: np.ndarray
    risk: np.ndarray


@dataclass(frozen=True)
class Plan:
    """How much is reviewed: shares of the stream in the queue and in the slice, and the share of
    either that reviewers have reached."""

    name: str
    queue: float
    audit: float
    reached: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """One stream: its true error rate and what the reviewed cases say."""

    truth: float
    found: StreamShare

    @property
    def plain_covers(self) -> bool:
        return self.found.plain.low <= self.truth <= self.found.plain.high

    @property
    def weighted_covers(self) -> bool:
        return self.found.low <= self.truth <= self.found.high


PLANS = [
    Plan("10 % uncertain, 5 % audited", 0.1, 0.05),
    Plan("10 % uncertain, 1 % audited", 0.1, 0.01),
    Plan("half of the first reached", 0.1, 0.05, 0.5),
    Plan("2 % uncertain, 0.2 % audited", 0.02, 0.002),
]


def pool_of(size: int, seed: int) -> Pool:
    """Cases, scored once by the demo's model and by nature."""
    data, generator = train_demo.read_data(), np.random.default_rng(seed)
    words = [f["name"] for f in data.features if f["type"] == "category"]
    numbers = [f["name"] for f in data.features if f["type"] != "category"]
    every = pd.concat([data.train, data.test], ignore_index=True)
    bad = np.concatenate([data.train_bad, data.test_bad])
    encoder = make_column_transformer(
        (OneHotEncoder(sparse_output=False), words), (StandardScaler(), numbers)
    )
    nature = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(every, bad)
    model = train_demo.train_gradient_boosting(data)
    held = model.predict_proba(data.test.astype(dict.fromkeys(words, object)))
    calibration = calibrate_classes(held, data.test_bad.tolist(), [0, 1], ALPHA)
    cases = blurred(every, words, numbers, size, generator)
    given = model.predict_proba(cases.astype(dict.fromkeys(words, object)))
    return Pool(
        said_bad=given[:, 1] > 0.5,
        uncertainty=class_uncertainty(calibration.sets(given), given),
        is_large=cases["credit_amount"].to_numpy() > LARGE_LOAN,
        risk=nature.predict_proba(cases)[:, 1],
    )


def blurred(
    frame: pd.DataFrame, words: list[str], numbers: list[str], size: int, generator: Any
) -> pd.DataFrame:
    """Rows drawn again, with a tenth of the categories from other rows and numbers blurred."""
    drawn = frame.sample(size, replace=True, random_state=generator, ignore_index=True)
    for name in words:
        mixed = generator.random(size) < 0.1
        others = generator.choice(frame[name].to_numpy(), size)
        drawn[name] = np.where(mixed, others, drawn[name].to_numpy())
    for name in numbers:
        drawn[name] = drawn[name] * generator.lognormal(0, 0.1, size)
    return drawn


def outcome(pool: Pool, cases: int, plan: Plan, generator: np.random.Generator) -> Outcome:
    """Draws a stream, works through its queue and its slice, and estimates."""
    chosen = generator.integers(0, len(pool.risk), cases)
    is_wrong = (generator.random(cases) < pool.risk[chosen]) != pool.said_bad[chosen]
    order = pool.uncertainty[chosen] + 10 * pool.is_large[chosen] + generator.random(cases) * 1e-9
    first = np.argsort(-order)[: round(cases * plan.queue * plan.reached)]
    by_queue = np.zeros(cases)
    by_queue[first] = 1
    is_audited = generator.random(cases) < plan.audit * plan.reached
    is_reviewed = (by_queue == 1) | is_audited
    chance = inclusion_probability([by_queue, plan.audit])
    found = stream_share(is_wrong[is_reviewed], chance[is_reviewed], cases)
    return Outcome(float(is_wrong.mean()), found)


def outcomes(pool: Pool, cases: int, plan: Plan, repetitions: int, seed: int) -> Iterator[Outcome]:
    generator = np.random.default_rng(seed)
    for _ in range(repetitions):
        yield outcome(pool, cases, plan, generator)


def line(plan: Plan, found: list[Outcome]) -> str:
    truth = np.array([each.truth for each in found])
    plain = np.array([each.found.plain.value for each in found])
    weighted = np.array([each.found.value for each in found])
    width = np.mean([each.found.high - each.found.low for each in found])
    reviewed = np.mean([each.found.plain.n for each in found])
    covers = (sum(x.plain_covers for x in found), sum(x.weighted_covers for x in found))
    error = (weighted - truth).std(ddof=1) / np.sqrt(len(found))
    return (
        f"{plan.name:30} {reviewed:8.0f} {truth.mean():7.2%} {plain.mean():7.2%} "
        f"{covers[0]:4} of {len(found)} {weighted.mean():9.2%} "
        f"{(weighted - truth).mean():+13.3%} ± {1.96 * error:.3%} {width:7.2%} "
        f"{covers[1]:4} of {len(found)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2)
    asked = parser.parse_args()
    print(machine.describe())
    covers = len(f"    of {asked.repetitions}")
    print(f"{asked.repetitions} streams of {asked.cases:,} cases, seed {asked.seed}")
    print(
        f"{'reviewed':30} {'cases':>8} {'true':>7} {'plain':>7} {'covers':>{covers}} "
        f"{'weighted':>9} {'bias and its interval':>22} {'width':>7} {'covers':>{covers}}"
    )
    pool = pool_of(POOL, asked.seed)
    for plan in PLANS:
        found = list(outcomes(pool, asked.cases, plan, asked.repetitions, asked.seed))
        print(line(plan, found), flush=True)


if __name__ == "__main__":
    main()

"""Counts what was said of a deployment's predictions, in SQL, for figures: a fixed number of
queries whose answers are small however much was said. Judgements of what was erased are gone.
What was predicted is read where the judgement keeps it; only blind first answers ask the log.

A period is of predictions, by the time in their ids, so that all figures speak of the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core.ids import first_at
from apps.deployments.models import Deployment


@dataclass(frozen=True, slots=True)
class Period:
    """Predictions from `start` until `end`, by `bucket`: day or week, in UTC."""

    start: datetime
    end: datetime
    bucket: str = "day"


@dataclass(frozen=True, slots=True)
class Judged:
    """Evaluations alike: of predictions in a bucket and group, by an author, with a verdict.
    `group` is the predicted class, or the place among the edges; `overrode`: they named another
    output than the model's."""

    at: datetime
    group: str | None
    author: str
    name: str
    verdict: str
    overrode: bool
    count: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """How many predictions were judged so: `said` is a list of author and label."""

    said: tuple[tuple[str, str], ...]
    count: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers of a reviewer in queues; `tenths` of a second were spent on each. `first_alike`:
    whether the blind answer was the model's, null where it was assisted."""

    reviewer: str
    name: str
    is_seeded: bool
    verdict: str
    first_alike: bool | None
    tenths: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Waited:
    """Cases that were judged after, or wait since, so many seconds."""

    is_done: bool
    seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class InQueue:
    """Judged cases of a queue's stream with one probability of getting in."""

    queue: UUID
    at: datetime
    probability: float
    disagreed: bool
    count: int


@dataclass(frozen=True, slots=True)
class Looked:
    """How many predictions of a bucket a queue looked at."""

    queue: UUID
    name: str
    at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Known:
    """Predictions with an actual; `right` are those that it confirms. Of numbers `error` and
    `error2` are the sums of the absolute error and of its square."""

    at: datetime
    count: int
    right: int
    error: float
    error2: float


@dataclass(frozen=True, slots=True)
class Counts:
    """All that figures are made of; `evaluated` is the number of predictions with a judgement."""

    judged: list[Judged] = field(default_factory=list)
    evaluated: int = 0
    patterns: list[Pattern] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    waited: list[Waited] = field(default_factory=list)
    in_queue: list[InQueue] = field(default_factory=list)
    looked: list[Looked] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)


_RANGE = "prediction_id >= %(first)s AND prediction_id < %(end)s"
_SAID = f"""
  SELECT id, prediction_id, predicted_at, predicted_outcome, author_name, verdict,
    author_kind || ':' || author_id AS author, desired_outcome
  FROM feedback_evaluation
  WHERE deployment_id = %(deployment)s AND {_RANGE} AND is_current AND erased_at IS NULL
    AND predicted_at IS NOT NULL AND verdict IN ('agree', 'disagree', 'unsure')
"""  # noqa: S608  built from constants
# A text that is a number; another one has no place among numbers.
_NUMBER = (
    "CASE WHEN predicted_outcome ~ '^-?[0-9.]+([eE][-+]?[0-9]+)?$' "
    "THEN predicted_outcome::float8 END"
)
_GROUP = (
    "CASE WHEN %(edges)s::float8[] IS NULL THEN predicted_outcome "
    f"ELSE width_bucket(-({_NUMBER}), %(edges)s::float8[])::text END"
)
_SAID_ALIKE = f"""
SELECT at, place, said, count(*) FROM (
  SELECT date_trunc(%(bucket)s, predicted_at, 'UTC') AS at, {_GROUP} AS place,
    array_agg(ARRAY[s.author, s.author_name, s.verdict,
      CASE WHEN s.verdict <> 'disagree' OR s.wish = predicted_outcome THEN ''
        WHEN %(edges)s::float8[] IS NOT NULL AND s.wish IS NOT NULL THEN '*'
        ELSE coalesce(s.wish, '') END,
      CASE WHEN s.decides THEN 'decides' ELSE '' END] ORDER BY s.author) AS said
  FROM (
    SELECT s.prediction_id, s.predicted_at, s.predicted_outcome, s.author, s.author_name,
      coalesce(c.verdict, s.verdict) AS verdict, coalesce(c.is_adjudication, false) AS decides,
      CASE WHEN c.verdict IS NULL THEN s.desired_outcome ELSE c.outcome END AS wish
    FROM ({_SAID}) AS s
    LEFT JOIN feedback_claim AS c ON c.evaluation_id = s.id AND c.state = 'answered'
  ) AS s
  GROUP BY s.prediction_id, predicted_at, predicted_outcome
) AS each GROUP BY 1, 2, 3
"""  # noqa: S608  built from constants
_CASES = f"""
  SELECT cases.* FROM feedback_reviewcase AS cases
  JOIN feedback_reviewqueue AS queue ON queue.id = cases.queue_id
  WHERE queue.deployment_id = %(deployment)s AND {_RANGE} AND cases.state <> 'withdrawn'
"""  # noqa: S608  built from constants
_ANSWERED = f"""
SELECT reviewer_id::text, max(name), is_seeded, verdict, first_alike, tenths, count(*) FROM (
  SELECT c.reviewer_id, coalesce(nullif(u.name, ''), u.email) AS name, cases.is_seeded, c.verdict,
    CASE WHEN c.first_answer IS NOT NULL THEN c.first_answer->>'outcome' = (
      SELECT p.outcome FROM predictions_prediction AS p WHERE p.id = cases.prediction_id
    ) END AS first_alike, c.spent_ms / 100 AS tenths
  FROM feedback_claim AS c JOIN ({_CASES}) AS cases ON cases.id = c.case_id
  JOIN accounts_user AS u ON u.id = c.reviewer_id
  WHERE c.state = 'answered' AND NOT c.is_adjudication AND c.verdict IS NOT NULL
) AS each GROUP BY reviewer_id, is_seeded, verdict, first_alike, tenths
"""  # noqa: S608  built from constants
_WAITED = f"""
SELECT is_done, CASE WHEN seconds < 3600 THEN round(seconds) ELSE 60 * round(seconds / 60) END,
  count(*)
FROM (SELECT state = 'done' AS is_done,
    greatest(extract(epoch FROM coalesce(closed_at, %(now)s) - at), 0) AS seconds
  FROM ({_CASES}) AS cases WHERE NOT is_seeded) AS each
GROUP BY 1, 2
"""  # noqa: S608  built from constants
_IN_QUEUE = f"""
SELECT queue_id, date_trunc(%(bucket)s, predicted_at, 'UTC'), probability,
  verdict = 'disagree', count(*)
FROM (
  SELECT DISTINCT ON (cases.id) cases.queue_id, cases.probability, c.verdict,
    to_timestamp(('x' || left(replace(cases.prediction_id::text, '-', ''), 12))::bit(48)::bigint
      / 1000.0) AS predicted_at
  FROM ({_CASES}) AS cases JOIN feedback_claim AS c ON c.case_id = cases.id
  WHERE cases.is_of_stream AND NOT cases.is_seeded AND cases.probability > 0
    AND c.state = 'answered' AND c.verdict IN ('agree', 'disagree')
  ORDER BY cases.id, c.is_adjudication DESC, c.ended_at DESC
) AS each GROUP BY 1, 2, 3, 4
"""  # noqa: S608  built from constants
_LOOKED = """
SELECT h.queue_id, max(q.name), date_trunc(%(bucket)s, h.at, 'UTC'), sum(h.looked)::bigint
FROM feedback_reviewhour AS h JOIN feedback_reviewqueue AS q ON q.id = h.queue_id
WHERE q.deployment_id = %(deployment)s AND h.at >= %(start)s AND h.at < %(until)s
GROUP BY 1, 3
"""
_KNOWN = f"""
SELECT date_trunc(%(bucket)s, predicted_at, 'UTC'), count(*), count(*) FILTER (WHERE is_right),
  coalesce(sum(error), 0), coalesce(sum(error * error), 0)
FROM (
  SELECT predicted_at, outcome = predicted_outcome AS is_right,
    CASE WHEN %(edges)s::float8[] IS NOT NULL THEN
      abs({_NUMBER} - {_NUMBER.replace("predicted_outcome", "outcome")}) END AS error
  FROM feedback_actual
  WHERE deployment_id = %(deployment)s AND {_RANGE} AND is_current AND erased_at IS NULL
    AND outcome IS NOT NULL AND predicted_outcome IS NOT NULL
) AS each GROUP BY 1
"""  # noqa: S608  built from constants


def counts_of(
    deployment: Deployment,
    period: Period,
    *,
    now: datetime,
    edges: Sequence[float] | None = None,
) -> Counts:
    """The counts of a period. `edges`, ascending, where the model gives numbers: a prediction
    belongs to the group below the first edge that it does not exceed, counted from 0."""
    given = {
        "deployment": deployment.id,
        "first": first_at(period.start),
        "end": first_at(period.end),
        "start": period.start,
        "until": period.end,
        "bucket": period.bucket,
        "now": now,
        # width_bucket puts a value on an edge above it; negated, it stays below.
        "edges": None if edges is None else [-each for each in reversed(edges)],
    }
    rows = [_Alike(*row) for row in _select(_SAID_ALIKE, given)]
    if edges is not None:
        rows = [replace(each, place=_turned(each.place, len(edges))) for each in rows]
    return Counts(
        judged=[judged for each in rows for judged in each.judged],
        evaluated=sum(each.count for each in rows),
        patterns=[each.pattern(is_number=edges is not None) for each in rows],
        answered=[Answered(*row) for row in _select(_ANSWERED, given)],
        waited=[Waited(done, float(s), count) for done, s, count in _select(_WAITED, given)],
        in_queue=[InQueue(*row) for row in _select(_IN_QUEUE, given)],
        looked=[Looked(*row) for row in _select(_LOOKED, given)],
        known=[Known(*row) for row in _select(_KNOWN, given)],
    )


@dataclass(frozen=True, slots=True)
class _Alike:
    """Predictions of which the same was said, as the database gives them: `said` holds author,
    name, verdict, the other output that was named, and whether it decided between others."""

    at: datetime
    place: str | None
    said: list[list[str]]
    count: int

    @property
    def judged(self) -> list[Judged]:
        return [
            Judged(self.at, self.place, author, name, verdict, bool(desired), self.count)
            for author, name, verdict, desired, _ in self.said
        ]

    def pattern(self, *, is_number: bool) -> Pattern:
        """What was said independently; a class by its name, a number by its verdict."""
        said = tuple(
            (author, verdict if is_number else self._label(verdict, desired))
            for author, _, verdict, desired, decides in self.said
            if not decides
        )
        return Pattern(said, self.count)

    def _label(self, verdict: str, desired: str) -> str:
        if verdict == "agree":
            return self.place or ""
        return verdict if verdict == "unsure" else desired or "another"


def _turned(place: str | None, highest: int) -> str | None:
    """Places of negated edges count from the top."""
    return None if place is None else str(highest - int(place))


def _select(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())

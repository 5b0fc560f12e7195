"""Reads the labelled predictions of a deployment, in the order of their ids, in bounded memory.

The label is the actual where there is one; else what an adjudication decided; else what most of
the standing evaluations say, if that is more than half of them: an agreement says the prediction,
a disagreement its desired output, and one without a desired output only that it is wrong.

`probability` is the chance with which a review queue took the prediction, by any of the queues
that did, for labels that people gave; null for actuals, and where no queue had it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from apps.core.ids import first_at
from apps.deployments.models import Deployment
from apps.feedback.datasets.columns import Labelled
from apps.feedback.datasets.settings import DataSetSettings

ROWS_AT_ONCE = 10_000
_FIRST, _LAST = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"

_STANDING = (
    "deployment_id = %(deployment)s AND prediction_id >= %(first)s AND prediction_id < %(end)s "
    "AND is_current"
)
_QUERY = f"""
WITH actual AS MATERIALIZED (
  SELECT prediction_id, outcome AS label, at, id FROM feedback_actual
  WHERE {_STANDING} AND outcome IS NOT NULL
), decided AS MATERIALIZED (
  SELECT DISTINCT cases.prediction_id, claim.reviewer_id::text AS author_id
  FROM feedback_claim AS claim JOIN feedback_reviewcase AS cases ON cases.id = claim.case_id
  JOIN feedback_reviewqueue AS queue ON queue.id = cases.queue_id
  WHERE queue.deployment_id = %(deployment)s
    AND claim.is_adjudication AND claim.state = 'answered' AND NOT cases.is_seeded
), said AS (
  SELECT e.prediction_id, e.id, e.at, e.verdict, e.desired_outcome, d.author_id IS NOT NULL AS last
  FROM (SELECT * FROM feedback_evaluation WHERE {_STANDING}) AS e
  LEFT JOIN decided AS d ON d.prediction_id = e.prediction_id AND d.author_id = e.author_id
    AND e.author_kind = 'user'
  WHERE e.verdict IN ('agree', 'disagree')
), votes AS (
  SELECT prediction_id, verdict, desired_outcome, count(*) AS n, bool_or(last) AS last,
    max(at) AS at, (max(id::text))::uuid AS id
  FROM (
    SELECT prediction_id, id, at, last, verdict,
      CASE WHEN verdict = 'disagree' THEN desired_outcome END AS desired_outcome FROM said
  ) AS each GROUP BY 1, 2, 3
), judged AS MATERIALIZED (
  SELECT DISTINCT ON (prediction_id) prediction_id, verdict, desired_outcome, last, at, id, n,
    sum(n) OVER (PARTITION BY prediction_id) AS every
  FROM votes ORDER BY prediction_id, last DESC, n DESC, id DESC
), chance AS MATERIALIZED (
  SELECT cases.prediction_id,
    CASE WHEN bool_or(cases.probability >= 1) THEN 1
      ELSE 1 - exp(sum(ln(1 - least(cases.probability, 0.999999)))) END AS probability
  FROM feedback_reviewcase AS cases JOIN feedback_reviewqueue AS queue ON queue.id = cases.queue_id
  WHERE queue.deployment_id = %(deployment)s AND cases.is_of_stream AND NOT cases.is_seeded
    AND cases.probability > 0
  GROUP BY 1
), labelled AS (
  SELECT coalesce(a.prediction_id, j.prediction_id) AS prediction_id,
    CASE WHEN a.id IS NOT NULL THEN 'actual' WHEN j.last THEN 'adjudication'
      ELSE 'evaluation' END AS source,
    a.id IS NULL AND j.verdict = 'agree' AS agrees,
    coalesce(a.label, j.desired_outcome) AS label, coalesce(a.at, j.at) AS at,
    coalesce(a.id, j.id) AS id
  FROM (SELECT * FROM actual WHERE 'actual' = ANY(%(sources)s)) AS a
  FULL JOIN (SELECT * FROM judged WHERE (last AND 'adjudication' = ANY(%(sources)s))
    OR (NOT last AND 2 * n > every AND 'evaluation' = ANY(%(sources)s))) AS j
    ON j.prediction_id = a.prediction_id
)
SELECT p.id, p.at, p.request_id, p.revision_id, p.custom_id, p.outcome, p.score,
  coalesce(p.model_input, p.input), CASE WHEN l.agrees THEN p.outcome ELSE l.label END,
  l.source, l.at, l.id, CASE WHEN l.source <> 'actual' THEN c.probability END
FROM labelled AS l JOIN predictions_prediction AS p ON p.id = l.prediction_id
LEFT JOIN chance AS c ON c.prediction_id = l.prediction_id
WHERE p.deployment_id = %(deployment)s AND p.salt IS NOT NULL
  AND CASE WHEN l.agrees THEN p.outcome ELSE l.label END IS NOT NULL
  AND (%(classes)s::text[] IS NULL
    OR CASE WHEN l.agrees THEN p.outcome ELSE l.label END = ANY(%(classes)s::text[]))
  AND (%(revisions)s::uuid[] IS NULL OR p.revision_id = ANY(%(revisions)s::uuid[]))
  AND NOT EXISTS (SELECT 1 FROM feedback_optout AS o
    WHERE o.deployment_id = p.deployment_id AND o.custom_id = p.custom_id)
ORDER BY p.id
"""  # noqa: S608  built from constants


@contextmanager
def labelled_rows(
    deployment: Deployment, settings: DataSetSettings
) -> Iterator[Iterator[list[Labelled]]]:
    """The rows in lists of at most `ROWS_AT_ONCE`, as the database had them when this began: the
    server keeps the answer, and no transaction stays open for it."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(_QUERY, _parameters(deployment, settings))
        yield _lists(cursor)


def _lists(cursor: Any) -> Iterator[list[Labelled]]:
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield [Labelled(*row) for row in rows]


def _parameters(deployment: Deployment, settings: DataSetSettings) -> dict[str, Any]:
    numbers = settings.revisions
    revisions = deployment.revisions.filter(number__in=numbers).values_list("id", flat=True)
    return {
        "deployment": deployment.id,
        "first": str(first_at(settings.start)) if settings.start else _FIRST,
        "end": str(first_at(settings.end)) if settings.end else _LAST,
        "sources": list(settings.sources),
        "classes": list(settings.classes) or None,
        "revisions": list(revisions) if numbers else None,
    }

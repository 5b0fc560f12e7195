"""Rollups of the log: what pages, drift, alerts and evidence read instead of it.

Traffic is kept by minute (for `ROLLUP_MINUTE_DAYS` days) and by hour (for ever), a row for each
caller of a revision; it holds counts and sparse histograms of a few dozen bytes. What the model
saw and said is kept by hour only, a row for each revision: drift looks at hours and days, and
twenty features take about 3 kB a row. A year of one busy deployment is about 9,000 such rows.

Deployments and revisions carry no database constraint, as in the log.
"""

from django.db import models

from apps.deployments.models import Deployment, Revision


class Rollup(models.Model):
    """Sums over the records of one deployment and revision that arrived from `at` on."""

    deployment = models.ForeignKey(
        Deployment, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    revision = models.ForeignKey(
        Revision,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.deployment_id} {self.at:%Y-%m-%d %H:%M}"


class Traffic(Rollup):
    """The requests of one caller. `client_errors` are answers from 400 to 499, `server_errors`
    from 500 on. `latency` and `model_latency` are histograms of microseconds
    (`histograms.size_bins`) of all requests and of those that reached a model server."""

    caller_kind = models.CharField(max_length=10)
    caller_id = models.CharField(max_length=40)
    requests = models.BigIntegerField(default=0)
    predictions = models.BigIntegerField(default=0)
    client_errors = models.BigIntegerField(default=0)
    server_errors = models.BigIntegerField(default=0)
    latency = models.JSONField(default=dict)
    model_latency = models.JSONField(default=dict)

    class Meta:
        abstract = True


_TRAFFIC_KEY = ["deployment", "at", "revision", "caller_kind", "caller_id"]


class TrafficMinute(Traffic):
    """A caller's requests in one minute."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=_TRAFFIC_KEY, nulls_distinct=False, name="one_traffic_row_per_minute"
            )
        ]
        indexes = [models.Index(fields=["at"], name="traffic_minute_by_time")]


class TrafficHour(Traffic):
    """A caller's requests in one hour."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=_TRAFFIC_KEY, nulls_distinct=False, name="one_traffic_row_per_hour"
            )
        ]


class Distribution(Rollup):
    """What a revision saw and said in one hour.

    `outcomes` counts classes, at most 100 of them, the rest in `outcomes_other`; of models that
    give numbers it is empty and `amounts` is the histogram (`histograms.amount_bins`). `scores`
    is the histogram of the predicted class's probability. `features` is
    `{name: {"bins": {bin: count}, "missing": n}}` on the bins of the version's reference data: a
    number's bin counts from its first edge, -1 is below and the number of bins above; a
    category's is its place in the profile, -1 one that the reference data does not have.
    `erased` predictions no longer had an input when they were counted.
    """

    predictions = models.BigIntegerField(default=0)
    erased = models.BigIntegerField(default=0)
    outcomes = models.JSONField(default=dict)
    outcomes_other = models.BigIntegerField(default=0)
    amounts = models.JSONField(default=dict)
    scores = models.JSONField(default=dict)
    features = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["deployment", "at", "revision"],
                nulls_distinct=False,
                name="one_distribution_per_hour",
            )
        ]

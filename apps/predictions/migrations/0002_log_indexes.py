"""Indexes for the filters of the log: the predictions of one revision, and refused requests.

Without them a revision that served long ago, or a deployment that never refused, is found only by
passing over all rows of the deployment. The second holds only refused requests, so that an
answered one costs nothing.
"""

from django.db import migrations

_MAKE = """
CREATE INDEX prediction_by_revision
    ON predictions_prediction (deployment_id, revision_id, id DESC);
CREATE INDEX request_refused ON predictions_request (deployment_id, id DESC)
    WHERE status_code >= 400;
"""
_DROP = "DROP INDEX prediction_by_revision; DROP INDEX request_refused;"


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0001_initial'),
    ]

    operations = [migrations.RunSQL(_MAKE, _DROP)]

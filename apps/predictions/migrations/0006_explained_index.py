"""Finds what was explained without reading the rest of the log."""

from django.db import migrations

_ADD = """
CREATE INDEX prediction_explained ON predictions_prediction (deployment_id, id DESC)
    WHERE explanations IS NOT NULL;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0005_explained'),
    ]

    operations = [migrations.RunSQL(_ADD, "DROP INDEX prediction_explained;")]

"""What explainers said of a prediction, and how long a request waited for them.

Columns that may be null cost a row of an older record nothing.
"""

from django.db import migrations, models

_ADD = """
ALTER TABLE predictions_request ADD COLUMN explain_us integer;
ALTER TABLE predictions_prediction ADD COLUMN explanations text;
"""
_DROP = """
ALTER TABLE predictions_request DROP COLUMN explain_us;
ALTER TABLE predictions_prediction DROP COLUMN explanations;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0004_transformed'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ADD, _DROP)],
            state_operations=[
                migrations.AddField(
                    model_name='requestrecord',
                    name='explain_us',
                    field=models.IntegerField(null=True),
                ),
                migrations.AddField(
                    model_name='predictionrecord',
                    name='explanations',
                    field=models.TextField(null=True),
                ),
            ],
        ),
    ]

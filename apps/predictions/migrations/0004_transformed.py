"""What a transformer and a model passed between them, and how long each step took.

Columns that may be null cost a row of an older record nothing.
"""

from django.db import migrations, models

_ADD = """
ALTER TABLE predictions_request ADD COLUMN preprocess_us integer, ADD COLUMN postprocess_us integer;
ALTER TABLE predictions_prediction ADD COLUMN model_input text, ADD COLUMN model_output text;
"""
_DROP = """
ALTER TABLE predictions_request DROP COLUMN preprocess_us, DROP COLUMN postprocess_us;
ALTER TABLE predictions_prediction DROP COLUMN model_input, DROP COLUMN model_output;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0003_erased_requests'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ADD, _DROP)],
            state_operations=[
                migrations.AddField(
                    model_name='requestrecord',
                    name='preprocess_us',
                    field=models.IntegerField(null=True),
                ),
                migrations.AddField(
                    model_name='requestrecord',
                    name='postprocess_us',
                    field=models.IntegerField(null=True),
                ),
                migrations.AddField(
                    model_name='predictionrecord',
                    name='model_input',
                    field=models.TextField(null=True),
                ),
                migrations.AddField(
                    model_name='predictionrecord',
                    name='model_output',
                    field=models.TextField(null=True),
                ),
            ],
        ),
    ]

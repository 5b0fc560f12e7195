"""What figures need of the prediction, beside what was said of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0003_component_health'),
        ('feedback', '0003_datasets'),
    ]

    operations = [
        migrations.AddField(
            model_name='actual',
            name='predicted_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='actual',
            name='predicted_outcome',
            field=models.CharField(max_length=200, null=True),
        ),
        migrations.AddField(
            model_name='evaluation',
            name='predicted_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='evaluation',
            name='predicted_outcome',
            field=models.CharField(max_length=200, null=True),
        ),
        migrations.AddIndex(
            model_name='evaluation',
            index=models.Index(condition=models.Q(('is_current', True)), fields=['deployment', '-prediction_id'], name='evaluation_of_deployment'),
        ),
    ]

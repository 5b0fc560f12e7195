from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0002_environments'),
    ]

    operations = [
        migrations.AddField(
            model_name='component',
            name='health',
            field=models.JSONField(default=dict),
        ),
    ]

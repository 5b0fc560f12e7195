from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0002_log_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='requestrecord',
            name='erased_at',
            field=models.DateTimeField(null=True),
        ),
    ]

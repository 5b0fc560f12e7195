"""Fills what 0004 added, from the log, some thousand rows in a transaction.

The rows go in the order of their predictions, so that each step reads one stretch of the log. A
prediction that is erased meanwhile leaves nothing: its entries are passed over by `erased_at`.
"""

from uuid import UUID

from django.db import migrations

_ROWS_AT_ONCE = 5_000
_NEXT = """
SELECT prediction_id FROM (
  SELECT prediction_id FROM {table} WHERE prediction_id > %s ORDER BY prediction_id LIMIT %s
) AS next ORDER BY prediction_id DESC LIMIT 1
"""
_FILL = """
UPDATE {table} AS entry SET predicted_at = p.at, predicted_outcome = p.outcome
FROM predictions_prediction AS p
WHERE entry.prediction_id > %(low)s AND entry.prediction_id <= %(high)s
  AND p.id > %(low)s AND p.id <= %(high)s
  AND p.id = entry.prediction_id AND entry.erased_at IS NULL
"""


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for table in ("feedback_evaluation", "feedback_actual"):
            low = UUID(int=0)
            while high := _next(cursor, table, low):
                cursor.execute(_FILL.format(table=table), {"low": low, "high": high})
                low = high


def _next(cursor, table, low):
    cursor.execute(_NEXT.format(table=table), [low, _ROWS_AT_ONCE])
    row = cursor.fetchone()
    return row[0] if row else None


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('feedback', '0004_predicted'),
        ('predictions', '0006_explained_index'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]

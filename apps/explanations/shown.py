"""What the page of a prediction shows of its explanations now, also for layers below this one."""

from apps.explanations.models import Explanation
from apps.explanations.panel import Panel, panel_of
from apps.predictions.models import PredictionRecord


def panel_now(record: PredictionRecord) -> Panel:
    later = Explanation.objects.filter(prediction_id=record.id, erased_at=None)
    return panel_of(record, list(later.select_related("revision").order_by("id")))


def shown_explanations(record: PredictionRecord) -> list[dict[str, str]]:
    """Name and id of each explanation on the page; the id is the key in its files' addresses."""
    return [{"name": told.name, "id": told.key} for told in panel_now(record).told]

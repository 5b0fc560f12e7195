"""Later explanations are part of what `verify` walks: kept, altered, gone and erased are apart."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from apps.audit.actor import SYSTEM
from apps.audit.models import Event
from apps.explanations import services
from apps.explanations.models import Explanation
from apps.explanations.record import PART
from apps.predictions import services as predictions
from apps.predictions.models import PredictionRecord

ANSWER = {"name": "shap", "method": "shap.linear", "baseValue": 0.5}


@pytest.fixture
def kept(record: PredictionRecord) -> Explanation:
    now = timezone.now()
    assert record.revision is not None
    [made] = services.keep(record, record.revision, [ANSWER], SYSTEM, now)
    services.keep(record, record.revision, [{**ANSWER, "name": "other"}], SYSTEM, now)
    return made


def problems() -> list[str]:
    return [each.message for each in PART.check(lambda kind, count: None)]


def counted() -> Iterator[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    list(PART.check(lambda kind, count: found.append((kind, count))))
    return iter(found)


def test_what_was_made_is_intact_and_counted(kept: Explanation) -> None:
    assert problems() == []
    assert next(counted()) == ("explanations", 2)


def test_an_altered_text_is_named(kept: Explanation) -> None:
    Explanation.objects.filter(id=kept.id).update(text=(kept.text or "").replace("0.5", "0.4"))
    assert problems() == ["its content is not what was made"]


def test_a_missing_row_is_named_with_its_event(kept: Explanation) -> None:
    number = Event.objects.get(object_id=str(kept.id)).number
    kept.delete()
    assert problems() == [f"event {number} says that it was made, and it is gone"]


def test_an_erasure_is_no_fault_and_an_emptied_row_is(
    kept: Explanation, record: PredictionRecord
) -> None:
    now = timezone.now()
    Explanation.objects.filter(id=kept.id).update(text=None, salt=None, erased_at=now)
    [message] = problems()
    assert "no event says that its prediction was erased" in message
    predictions.erase_prediction(prediction=record, reason="Asked for", by=SYSTEM, now=now)
    assert problems() == []
    Explanation.objects.filter(id=kept.id).update(text="{}")
    assert problems() == ["it was erased, but has content"]

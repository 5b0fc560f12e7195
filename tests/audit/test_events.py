"""The event chain: what it holds, and what it notices."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.actor import SYSTEM, Actor
from apps.audit.checkpoints import create_checkpoint
from apps.audit.models import Event, EventHead
from apps.audit.services import record
from apps.audit.verification import verify_checkpoints, verify_events

pytestmark = pytest.mark.django_db(transaction=True)
ANNA = Actor(kind="user", id="1", name="Anna")


@pytest.fixture(autouse=True)
def own_var_dir(settings: Any, tmp_path: Path) -> None:
    """Checkpoints leave copies, which would speak of other tests' databases."""
    settings.VAR_DIR = tmp_path / "var"


def record_events(count: int) -> None:
    for number in range(count):
        with transaction.atomic():
            record(
                name="model.created",
                by=ANNA,
                object_type="model",
                object_id=str(number),
                object_name=f"model {number}",
                data={"n": number},
            )


def change(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def messages() -> list[str]:
    return [str(problem) for problem in verify_events()]


def test_an_untouched_chain_has_no_problem() -> None:
    record_events(5)
    assert messages() == []


def test_an_event_needs_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record(name="x", by=SYSTEM, object_type="x", object_id="1", object_name="x")


def test_a_rolled_back_change_leaves_no_event() -> None:
    with transaction.atomic():
        record(name="x", by=SYSTEM, object_type="x", object_id="1", object_name="x")
        transaction.set_rollback(True)
    assert Event.objects.count() == 0


def test_one_changed_byte_is_found_where_it_is() -> None:
    record_events(5)
    change("UPDATE audit_event SET data = replace(data, '2', '7') WHERE number = 3")
    assert len(messages()) == 1
    assert "event 3" in messages()[0]
    assert "not what was recorded" in messages()[0]


def test_a_deleted_event_is_found_where_it_was() -> None:
    record_events(5)
    change("DELETE FROM audit_event WHERE number = 3")
    assert "event 3 before it is missing" in messages()[0]
    assert "event 4" in messages()[0]


def test_swapped_events_are_found() -> None:
    record_events(5)
    change("UPDATE audit_event SET number = 99 WHERE number = 2")
    change("UPDATE audit_event SET number = 2 WHERE number = 3")
    change("UPDATE audit_event SET number = 3 WHERE number = 99")
    assert "event 2" in messages()[0]


def test_a_cut_tail_is_found() -> None:
    record_events(5)
    change("DELETE FROM audit_event WHERE number > 3")
    assert "the tail was cut" in messages()[0]


def test_a_cut_tail_with_a_forged_head_is_found_by_the_checkpoint() -> None:
    record_events(5)
    create_checkpoint(now=timezone.now())
    change("DELETE FROM audit_event WHERE number > 3")
    third = Event.objects.get(number=3)
    EventHead.objects.update(number=3, hash=third.hash)
    assert messages() == []
    assert "event 5 is gone" in str(next(iter(verify_checkpoints())))


def test_a_forged_checkpoint_is_found() -> None:
    record_events(2)
    checkpoint = create_checkpoint(now=timezone.now())
    checkpoint.content = checkpoint.content.replace('"number":2', '"number":1')
    checkpoint.save()
    assert any("signature" in str(problem) for problem in verify_checkpoints())

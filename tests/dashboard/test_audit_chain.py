"""The state of the chains, verifications on request, and bundles from the page."""

import io
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from apps.accounts.models import User, Workspace
from apps.audit import verifications
from apps.audit.actor import SYSTEM
from apps.audit.checkpoints import create_checkpoint
from apps.audit.models import Event, Verification
from apps.audit.selectors import chain_state
from apps.predictions.checking import verify
from tests.predictions.records import Call, make_deployment, write

CHAIN = "/audit/chain/"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def own_var_dir(transactional_db: None, settings: Any, tmp_path: Path) -> None:
    """Checkpoints leave copies, which would speak of other tests' databases."""
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def log(workspace: Workspace, operator: User, tmp_path: Path) -> None:
    made = make_deployment(workspace, "Credit risk", operator, tmp_path)
    call = [made.id, made.revisions.get().id]
    write([Call(*call)], [Call(*call), Call(*call, status=400)])


def run(client: Client) -> Verification:
    """Asks on the page, then does the worker's part."""
    answer = client.post(f"{CHAIN}verify/")
    asked = Verification.objects.latest("created_at")
    assert answer["Location"] == f"{CHAIN}{asked.id}/"
    assert OrmQ.objects.count() == 1
    OrmQ.objects.all().delete()
    verify(str(asked.id))
    asked.refresh_from_db()
    return asked


def test_a_verification_is_run_stored_and_shown(log: None, auditor: User, client_for: Any) -> None:
    client = client_for(auditor)
    done = run(client)
    assert done.state == Verification.State.INTACT
    assert (done.seals, done.records) == (2, 7)
    assert done.events == Event.objects.count() - 1
    event = Event.objects.get(name="verification.finished")
    assert event.actor_id == str(auditor.id)
    assert "Nothing was changed" in client.get(f"{CHAIN}{done.id}/").content.decode()
    assert f"{CHAIN}{done.id}/" in client.get(CHAIN).content.decode()


def test_what_is_broken_is_named_on_the_page(log: None, auditor: User, client_for: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE predictions_prediction SET outcome = 'fine' WHERE position = 1")
    client = client_for(auditor)
    done = run(client)
    assert (done.state, done.problem_count) == (Verification.State.BROKEN, 2)
    page = client.get(f"{CHAIN}{done.id}/").content.decode()
    assert "its content is not what was recorded" in page
    assert "Not intact" in client.get("/audit/").content.decode()


def test_progress_is_polled_until_it_is_done(auditor: User, client_for: Any) -> None:
    asked = verifications.ask(by=auditor.actor, now=timezone.now())
    client = client_for(auditor)
    waiting = client.get(f"{CHAIN}{asked.id}/", headers=HTMX).content.decode()
    assert "every 1s" in waiting
    assert "<html" not in waiting
    verify(str(asked.id))
    assert "every 1s" not in client.get(f"{CHAIN}{asked.id}/", headers=HTMX).content.decode()


def test_a_task_that_is_delivered_twice_runs_once(auditor: User) -> None:
    asked = verifications.ask(by=auditor.actor, now=timezone.now())
    verify(str(asked.id))
    verify(str(asked.id))
    assert Event.objects.filter(name="verification.finished").count() == 1


def test_only_one_verification_goes_on(auditor: User, client_for: Any) -> None:
    verifications.ask(by=auditor.actor, now=timezone.now())
    answer = client_for(auditor).post(f"{CHAIN}verify/", follow=True)
    assert "being checked already" in answer.content.decode()
    assert Verification.objects.count() == 1


def test_one_that_went_silent_makes_way(auditor: User, client_for: Any) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    silent = verifications.ask(by=auditor.actor, now=long_ago)
    page = client_for(auditor).get(f"{CHAIN}{silent.id}/").content.decode()
    assert "See whether the worker runs" in page
    verifications.ask(by=auditor.actor, now=timezone.now())
    silent.refresh_from_db()
    assert silent.state == Verification.State.FAILED
    assert "silent" in silent.error


def test_the_command_writes_the_same_row(log: None) -> None:
    said = io.StringIO()
    call_command("verify", stdout=said)
    done = Verification.objects.get()
    assert (done.state, done.actor_name, done.records) == ("intact", SYSTEM.name, 7)
    assert "2 seals with 7 records" in said.getvalue()
    Event.objects.filter(number=2).delete()
    with pytest.raises(CommandError, match="event 2 before it is missing"):
        call_command("verify", stdout=said, stderr=said)
    assert Verification.objects.latest("created_at").problem_count == 1


def test_a_late_checkpoint_is_warned_of(auditor: User, client_for: Any) -> None:
    now = timezone.now()
    assert chain_state(now=now).word == ("warn", "No checkpoint yet")
    create_checkpoint(now=now - timedelta(hours=3))
    assert chain_state(now=now).word == ("warn", "Checkpoint overdue")
    assert "older than two hours" in client_for(auditor).get("/audit/").content.decode()
    create_checkpoint(now=now - timedelta(minutes=30))
    assert chain_state(now=now).word == ("none", "Never verified")


def test_a_bundle_from_the_page_is_intact(
    log: None, workspace: Workspace, reviewer: User, auditor: User, client_for: Any, tmp_path: Path
) -> None:
    for client, path in (
        (client_for(reviewer), "/w/retail-credit/audit/bundle/"),
        (client_for(auditor), "/audit/bundle/"),
    ):
        assert "Download the bundle" in client.get(path).content.decode()
        answer = client.post(path)
        (tmp_path / "b.zip").write_bytes(b"".join(answer.streaming_content))
        script = tmp_path / "verify_bundle.py"
        script.write_bytes(b"".join(client.get("/audit/verify_bundle.py").streaming_content))
        command = [sys.executable, "-I", str(script), str(tmp_path / "b.zip")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        assert "7 records" in result.stdout
    assert Event.objects.filter(name="bundle.exported").count() == 2


def test_a_wrong_choice_is_named_and_nothing_is_exported(
    log: None, reviewer: User, client_for: Any
) -> None:
    answer = client_for(reviewer).post(
        "/w/retail-credit/audit/bundle/", {"deployment": "x", "since": "soon"}
    )
    assert answer.status_code == 400
    assert "Enter a valid date/time" in answer.content.decode()
    assert not Event.objects.filter(name="bundle.exported").exists()


@pytest.mark.parametrize(
    "path", [CHAIN, f"{CHAIN}{UUID(int=7)}/", f"{CHAIN}verify/", "/audit/bundle/"]
)
def test_the_chain_is_not_for_everybody(owner: User, client_for: Any, path: str) -> None:
    method = "post" if path.endswith("verify/") else "get"
    assert getattr(client_for(owner), method)(path).status_code == 403
    assert getattr(Client(), method)(path).status_code == 302


def test_wrong_methods_and_unknown_ones_are_refused(auditor: User, client_for: Any) -> None:
    client = client_for(auditor)
    assert client.get(f"{CHAIN}verify/").status_code == 405
    assert client.post(CHAIN).status_code == 405
    assert client.get(f"{CHAIN}{uuid4()}/").status_code == 404


def test_a_bundle_of_a_workspace_is_for_its_members(
    workspace: Workspace, outsider: User, client_for: Any
) -> None:
    path = "/w/retail-credit/audit/bundle/"
    assert client_for(outsider).post(path).status_code == 404
    assert Client().post(path).status_code == 302
    assert client_for(outsider).put(path).status_code == 405


def test_many_verifications_cost_the_same(
    auditor: User, client_for: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        verifications.begin(by=SYSTEM, now=timezone.now())
    client = client_for(auditor)
    with django_assert_max_num_queries(11):
        client.get(CHAIN)

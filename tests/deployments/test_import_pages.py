"""The pages of a deployment whose first revision waits for its import."""

from pathlib import Path
from typing import Any

import pytest
import skops.io
from django.utils import timezone
from sklearn.linear_model import LogisticRegression

from apps.accounts.models import User, Workspace
from apps.audit.models import Event
from apps.deployments.importing import deploy_import
from apps.deployments.models import Deployment
from apps.deployments.services import delete_deployment
from apps.registry.models import Import
from apps.registry.tasks import perform_import
from tests.registry.sources.servers import http, send

pytestmark = pytest.mark.django_db
HERE = "/w/retail-credit/deployments/risk/"
NEEDS_A_REVISION = ["", "revisions/", "revisions/new/", "log/", "predictions/", "try/"]
GOES_WITHOUT = ["progress/", "settings/", "tokens/"]


@pytest.fixture
def waiting(workspace: Workspace, operator: User, settings: Any) -> Deployment:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    source = {"kind": "files", "uri": "http://127.0.0.1:9/risk.skops"}
    return deploy_import(workspace=workspace, name="Risk", source=source, by=operator)


@pytest.fixture
def failed(waiting: Deployment) -> Deployment:
    perform_import(str(Import.objects.get().id))
    assert Import.objects.get().state == "failed"
    return waiting


@pytest.mark.parametrize("path", NEEDS_A_REVISION)
def test_a_page_that_needs_a_revision_leads_to_the_progress(
    waiting: Deployment, operator: User, client_for: Any, path: str
) -> None:
    answer = client_for(operator).get(HERE + path)

    assert (answer.status_code, answer["Location"]) == (302, f"{HERE}progress/")


@pytest.mark.parametrize("path", GOES_WITHOUT)
def test_the_other_pages_work(
    waiting: Deployment, operator: User, client_for: Any, path: str
) -> None:
    assert client_for(operator).get(HERE + path).status_code == 200


def test_the_figures_and_the_list_work(
    waiting: Deployment, operator: User, client_for: Any
) -> None:
    client = client_for(operator)
    assert client.get(f"{HERE}figures/").status_code == 200
    assert "Waiting for its import" in client.get("/w/retail-credit/deployments/").content.decode()


def test_the_progress_asks_again_while_it_waits(
    waiting: Deployment, operator: User, client_for: Any
) -> None:
    client = client_for(operator)
    page = client.get(f"{HERE}progress/").content.decode()
    fragment = client.get(f"{HERE}progress/", headers={"HX-Request": "true"}).content.decode()

    assert "It waits for the worker" in page
    assert f"/w/retail-credit/models/imports/{Import.objects.get().id}/" in page
    assert 'hx-trigger="every 1s"' in fragment
    assert "<html" in page
    assert "<html" not in fragment


def test_a_failure_shows_its_error_its_log_and_ways_on(
    failed: Deployment, operator: User, client_for: Any
) -> None:
    Import.objects.update(log="Fetching it\n")
    page = client_for(operator).get(f"{HERE}progress/").content.decode()

    assert Import.objects.get().error in page.replace("&#x27;", "'")
    assert "Fetching it" in page
    assert f'action="{HERE}import/retry/"' in page
    assert f"{HERE}settings/#confirm" in page
    assert "every 1s" not in page


def test_a_failure_waits_for_a_person_on_home(
    failed: Deployment, operator: User, client_for: Any
) -> None:
    assert f"{HERE}progress/" in client_for(operator).get("/", follow=True).content.decode()


def test_trying_again_brings_the_first_revision(
    failed: Deployment, operator: User, client_for: Any, tmp_path: Path
) -> None:
    client, job = client_for(operator), Import.objects.get()
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    content = (tmp_path / "m.skops").read_bytes()
    with http(lambda handler: send(handler, content)) as url:
        job.source["uri"] = f"{url}/risk.skops"
        job.save(update_fields=["source"])
        answer = client.post(f"{HERE}import/retry/")
        assert answer["Location"] == f"{HERE}progress/"
        perform_import(str(job.id))

    assert failed.revisions.count() == 1
    assert Event.objects.filter(name="import.retried").count() == 1
    assert "Revision r1" in client.get(f"{HERE}progress/").content.decode()


def test_what_still_waits_is_not_begun_twice(
    waiting: Deployment, operator: User, client_for: Any
) -> None:
    answer = client_for(operator).post(f"{HERE}import/retry/", follow=True)

    assert "Only an import that failed" in answer.content.decode()
    assert not Event.objects.filter(name="import.retried").exists()


def test_what_failed_can_be_deleted(failed: Deployment, operator: User, client_for: Any) -> None:
    answer = client_for(operator).post(f"{HERE}delete/", {"name": "Risk"})

    assert answer["Location"] == "/w/retail-credit/deployments/"
    failed.refresh_from_db()
    assert failed.desired == "deleted"


def test_an_import_that_is_gone_is_told(
    waiting: Deployment, operator: User, client_for: Any
) -> None:
    Import.objects.all().delete()
    client = client_for(operator)

    assert "is gone" in client.get(f"{HERE}progress/").content.decode()
    assert "is gone" in client.post(f"{HERE}import/retry/", follow=True).content.decode()


def test_members_look_and_operators_retry(
    failed: Deployment, reviewer: User, outsider: User, client_for: Any, client: Any
) -> None:
    member, stranger = client_for(reviewer), client_for(outsider)
    page = member.get(f"{HERE}progress/")

    assert page.status_code == 200
    assert "import/retry/" not in page.content.decode()
    assert member.post(f"{HERE}import/retry/").status_code == 403
    assert stranger.get(f"{HERE}progress/").status_code == 404
    assert stranger.post(f"{HERE}import/retry/").status_code == 404
    assert client.post(f"{HERE}import/retry/").status_code == 302
    assert member.get(f"{HERE}import/retry/").status_code == 405


def test_a_deleted_one_is_not_found(waiting: Deployment, operator: User, client_for: Any) -> None:
    delete_deployment(deployment=waiting, by=operator.actor, now=timezone.now())

    assert client_for(operator).get(f"{HERE}progress/").status_code == 404
